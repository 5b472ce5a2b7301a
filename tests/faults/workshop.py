"""A process that forks a child for each run of a stage, and imports what children had to.

So a run starts in milliseconds, and a kill falls into the stage's own work. A child has a session
of its own; what it says goes to a log in a folder of the workshop, on no disk that gets full.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

__all__ = ["Ended", "Faults", "Started", "Workshop", "workshop"]

ROOT = Path(__file__).parents[2]
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
    ``nan_at`` the step of an optimiser after which a weight is NaN. ``part_bytes`` is no
    fault: so small that a table of a hundred digits has many parts.
    """

    part_bytes: int = 4096
    clock: float = 0.0
    memory: int | None = None
    file_bytes: int | None = None
    nan_at: int | None = None
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code (negative: the signal), what it said, how long it took."""

    code: int
    said: str
    seconds: float

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

    def kill(self) -> None:
        """Kill -9 of the run with everything that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def wait(self) -> Ended:
        code = self._workshop.ask(wait=self.pid)
        seconds = time.monotonic() - self._began
        self.kill()  # what it left behind, if anything
        return Ended(code, self._log.read_text(errors="replace"), seconds)


class Workshop:
    """The other end of the process that forks."""

    def __init__(self, process: subprocess.Popen[str], logs: Path) -> None:
        self._process, self._lock, self._count, self._logs = process, threading.Lock(), 0, logs

    def start(self, root: Path, stage: str, faults: Faults | None = None) -> Started:
        """Start a run of ``stage`` in the project ``root``."""
        self._count += 1
        log = self._logs / f"{self._count}.log"
        about = dataclasses.asdict(faults or Faults())
        pid = self.ask(start={"root": str(root), "stage": stage, "log": str(log), "faults": about})
        return Started(self, pid, log)

    def run(self, root: Path, stage: str, faults: Faults | None = None) -> Ended:
        return self.start(root, stage, faults).wait()

    def killed(
        self,
        root: Path,
        stage: str,
        after: float,
        faults: Faults | None = None,
        when: Callable[[], bool] = lambda: True,
    ) -> Ended:
        """A run that is killed so many seconds after its work began, or has ended by then.

        The work begins with the run's entry in the ledger, and ``when`` that is true.
        """
        ledger = root / ".geocore/ledger"
        before = set(ledger.glob("[!.]*.json"))
        run = self.start(root, stage, faults)
        end = time.monotonic() + 60
        while set(ledger.glob("[!.]*.json")) == before or not when():
            assert time.monotonic() < end, run.wait().said
            time.sleep(0.002)
        time.sleep(after)
        run.kill()
        return run.wait()

    def ask(self, **request: Any) -> int:
        assert self._process.stdin is not None and self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        return int(json.loads(line))


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
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        with TemporaryDirectory() as logs:
            yield Workshop(process, Path(logs))
    finally:
        process.stdin.close()
        process.wait(timeout=30)
        process.stdout.close()


def serve() -> int:
    """Answer requests until standard input ends."""
    from tests.faults import stages

    imported: dict[int, Path] = {}
    answers = os.dup(1)
    os.dup2(2, 1)  # what an import prints is no answer
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
            _import(imported.pop(request["wait"]))
        else:
            stages.parse_for(request["start"]["stage"])
            answer = _fork(**request["start"])
            imported[answer] = Path(f"{request['start']['log']}.modules")
        os.write(answers, f"{answer}\n".encode())
    return 0


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
    code = 1
    try:
        with suppress(PermissionError):  # it leads its group already
            os.setpgid(0, 0)
        said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        for target in (1, 2):
            os.dup2(said, target)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        from tests.faults import stages

        code = stages.run(Path(root), stage, Faults(**faults))
        if code == 0:
            Path(f"{log}.modules").write_text("\n".join(sys.modules))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
