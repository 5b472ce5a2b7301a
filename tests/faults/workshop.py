"""A process that forks a child for each run of a stage, and imports what children had to.

So a run starts in milliseconds, and a kill falls into the stage's own work. A child has a session
of its own; what it says goes to a log in a folder of the workshop, on no disk that gets full.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

__all__ = ["Ended", "Faults", "Started", "Workshop", "workshop"]

ROOT = Path(__file__).parents[2]
UNTOLD = 71  # of a run that could not leave in its log what it had to say
_ANSWER = 300.0  # seconds for an answer, beyond what was asked for
# Other distributions install a package of that name: these are the tests of this folder.
_START = """
import sys, types
tests = types.ModuleType("tests")
tests.__path__ = ["tests"]
sys.modules["tests"] = tests
from tests.faults.workshop import serve
sys.exit(serve())
"""


@dataclass(frozen=True)
class Faults:
    """What is wrong with the process that runs a stage; by default nothing.

    ``clock`` is by how many seconds the clock is off, ``memory`` how many MiB may be asked for
    beyond what an idle process has, ``file_bytes`` how large a file may grow,
    ``nan_at`` the step of an optimiser after which a weight is NaN, ``kill_at`` the one after
    which the run is killed. ``part_bytes`` is no fault: so small that a table of a hundred digits
    has many parts.
    """

    part_bytes: int = 4096
    clock: float = 0.0
    memory: int | None = None
    file_bytes: int | None = None
    nan_at: int | None = None
    kill_at: int | None = None
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code (negative: the signal), what it said, how long it took.

    ``steps`` are those of optimisers in its own process, if it was not killed.
    """

    code: int
    said: str
    seconds: float
    steps: int

    @property
    def errors(self) -> list[str]:
        """The lines that tell a user what is wrong."""
        return [line for line in self.said.splitlines() if line.startswith("error: ")]

    @property
    def clear(self) -> bool:
        """Whether it ended well, or with lines for a user and no traceback."""
        told = bool(self.errors) and "Traceback" not in self.said
        return self.code == 0 or (self.code in (1, 2) and told)


class Started:
    """A run under way."""

    def __init__(self, workshop: Workshop, pid: int, log: Path) -> None:
        self.pid, self._workshop, self._log, self._began = pid, workshop, log, time.monotonic()
        self._code: int | None = None

    def kill(self) -> None:
        """Kill -9 of the run with everything that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def ended(self, within: float = 0.0) -> bool:
        """Whether it has ended, or does within so many seconds."""
        if self._code is None:
            self._code = self._workshop.ask(within + _ANSWER, wait=self.pid, within=within)
        return self._code is not None

    def wait(self) -> Ended:
        """How it ends; ``AssertionError`` where it does not, or could not say how."""
        limit = self._workshop.patience
        in_time = self.ended(limit)
        seconds = time.monotonic() - self._began
        self.kill()  # what it left behind, if anything
        said = self._log.read_text(errors="replace")
        assert in_time, f"a run that hangs: not ended in {limit:.0f} s; it said: {said}"
        assert self._code is not None and self._code != UNTOLD, f"lost what it said after: {said}"
        self._workshop.took(seconds)
        steps = self._log.with_suffix(".steps")
        return Ended(self._code, said, seconds, int(steps.read_text()) if steps.is_file() else 0)


class Workshop:
    """The other end of the process that forks."""

    def __init__(self, process: subprocess.Popen[bytes], logs: Path) -> None:
        self._process, self._lock, self._count, self._logs = process, threading.Lock(), 0, logs
        self._longest = 0.0

    @property
    def patience(self) -> float:
        """After how many seconds a run is taken for one that hangs: many times the longest yet."""
        return 300.0 + 100.0 * self._longest

    def took(self, seconds: float) -> None:
        """A run took so long: on a machine that is slow or busy the limits grow."""
        self._longest = max(self._longest, seconds)

    def start(self, root: Path, stage: str, faults: Faults | None = None) -> Started:
        """Start a run of ``stage`` in the project ``root``."""
        self._count += 1
        log = self._logs / f"{self._count}.log"
        about = dataclasses.asdict(faults or Faults())
        request = {"root": str(root), "stage": stage, "log": str(log), "faults": about}
        pid = self.ask(self.patience, start=request)
        assert pid is not None
        return Started(self, pid, log)

    def run(self, root: Path, stage: str, faults: Faults | None = None) -> Ended:
        return self.start(root, stage, faults).wait()

    def killed(
        self,
        root: Path,
        stage: str,
        after: float,
        faults: Faults | None = None,
    ) -> Ended:
        """A run that is killed so many seconds after its work began, or has ended by then.

        The work begins with the run's entry in the ledger.
        """
        ledger = root / ".geocore/ledger"
        before = set(ledger.glob("[!.]*.json"))
        run = self.start(root, stage, faults)
        end = time.monotonic() + self.patience
        while set(ledger.glob("[!.]*.json")) == before and not run.ended():
            assert time.monotonic() < end, run.wait().said
            time.sleep(0.002)
        time.sleep(after)
        run.kill()
        return run.wait()

    def ask(self, seconds: float, **request: Any) -> int | None:
        """The answer to a request; ``AssertionError`` if none comes in so many seconds."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            ready, _, _ = select.select([self._process.stdout], [], [], seconds)
            assert ready, f"the workshop does not answer {request} in {seconds:.0f} s"
            line = self._process.stdout.readline()
        assert line, "the workshop has ended"
        answer = json.loads(line)
        return None if answer is None else int(answer)


@contextmanager
def workshop() -> Iterator[Workshop]:
    """The process, ended with the ``with`` block; it ends too when this one does."""
    dropped = ("PREFECT_", "GEOCORE_", "PYTEST_", "DVC_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    process = subprocess.Popen(
        [sys.executable, "-c", _START],
        cwd=ROOT,
        env={**environment, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        with TemporaryDirectory() as logs:
            yield Workshop(process, Path(logs))
    finally:
        process.stdin.close()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def serve() -> int:
    """Answer requests until standard input ends."""
    from tests.faults import stages

    imported: dict[int, Path] = {}
    answers = os.dup(1)
    os.dup2(2, 1)  # what an import prints is no answer
    for line in sys.stdin:
        request = json.loads(line)
        answer: int | None
        if "wait" in request:
            answer = _reaped(request["wait"], request["within"])
            if answer is not None:
                _import(imported.pop(request["wait"]))
        else:
            stages.parse_for(request["start"]["stage"])
            answer = _fork(**request["start"])
            imported[answer] = Path(request["start"]["log"]).with_suffix(".modules")
        os.write(answers, json.dumps(answer).encode() + b"\n")
    return 0


def _reaped(pid: int, within: float) -> int | None:
    """The exit code of a child; None if it has not ended within so many seconds."""
    end = time.monotonic() + within
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= end:
            return None
        time.sleep(0.002)


def _import(names: Path) -> None:
    """What a run imported, so that the next one need not."""
    if not names.is_file():
        return
    for name in names.read_text().splitlines():
        if name not in sys.modules:
            with suppress(Exception):
                importlib.import_module(name)


def _fork(root: str, stage: str, log: str, faults: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        with suppress(PermissionError, ProcessLookupError):
            os.setpgid(pid, pid)  # here as well: a kill may come before the child does it
        return pid
    code, own = UNTOLD, os.dup(2)
    try:
        with suppress(PermissionError):  # it leads its group already
            os.setpgid(0, 0)
        said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        for target in (1, 2):
            os.dup2(said, target)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        from tests.faults import stages

        ended = stages.run(Path(root), stage, Faults(**faults))
        Path(log).with_suffix(".steps").write_text(str(stages.steps_done()))
        if ended == 0:
            with suppress(OSError):  # under a limit on files: the next run imports for itself
                Path(log).with_suffix(".modules").write_text("\n".join(sys.modules))
        sys.stdout.flush()
        sys.stderr.flush()
        code = ended
    except BaseException:
        os.write(own, traceback.format_exc().encode())
    finally:
        os._exit(code)
