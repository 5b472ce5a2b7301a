"""Whatever ends a stage, its cluster goes in order: jobs cancelled, workers and folders gone.

The queue is two programs that keep what they are asked for.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("dask_jobqueue")
pytest.importorskip("cryptography")

from geocore.runs.processes import alive, start_ticks

ROOT = Path(__file__).parents[2]
SBATCH = "#!/bin/sh\necho 77\n"
SCANCEL = "#!/bin/sh\nsleep 0.5\necho $1 >> {folder}/cancelled\n"
STAGE = """
import sys, time
from geocore.runs.cluster_process import ClusterProcess
held = ClusterProcess(sys.argv[1], 1)
print(held._process.pid, flush=True)
time.sleep(600)
"""
# Whoever runs a stage as a flow does.
FLOW = """
import os, pathlib, sys
from flows.tethered import run_tethered
run_tethered([sys.executable, "-c", *sys.argv[1:]], folder=pathlib.Path.cwd(),
             environment=os.environ, say=lambda line: print(line, flush=True))
"""


@dataclass
class Held:
    """A cluster that somebody has started, and where it leaves what it makes."""

    kind: str
    owner: int
    pid: int
    folder: Path

    def all(self) -> list[int]:
        return tree(self.owner)

    def files(self) -> list[Path]:
        """Folders of workers; certificates, which hold keys; scripts of jobs."""
        found = [*(self.folder / "tmp").glob("geocore-dask-*")]
        return [*found, *(one for one in (self.folder / "home").rglob("*") if one.is_file())]

    def cancelled(self) -> str:
        told = self.folder / "cancelled"
        return told.read_text() if told.exists() else ""


@contextmanager
def held(kind: str, folder: Path, *command: str, sbatch: str = SBATCH) -> Iterator[Held]:
    """A cluster of ``kind`` that ``command`` starts, as the leader of a group of its own."""
    for name, text in (("sbatch", sbatch), ("scancel", SCANCEL.format(folder=folder))):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    (folder / "tmp").mkdir()
    environment = {
        **os.environ,
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "TMPDIR": str(folder / "tmp"),
        "GEOCORE_HOME": str(folder / "home"),
    }
    with subprocess.Popen(
        [*command, kind],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
        start_new_session=True,
        # As in a terminal, even where these tests run under nohup.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    ) as owner:
        assert owner.stdout is not None
        family: dict[int, int | None] = {}
        try:
            one = Held(kind, owner.pid, int(owner.stdout.readline()), folder)
            family = {pid: start_ticks(pid) for pid in one.all()}
            yield one
        finally:
            owner.kill()
            for pid, ticks in family.items():
                if ticks is not None and alive(pid, ticks):
                    os.kill(pid, signal.SIGKILL)


def all_there(one: Held) -> None:
    assert alive(one.pid) and one.files() and not one.cancelled()


def all_gone(one: Held, family: list[int]) -> None:
    wait_for(lambda: not any(alive(pid) for pid in family), "processes are gone")
    assert one.files() == []
    assert one.cancelled() == ("77\n" if one.kind == "slurm" else "")


def to_the_cluster(number: signal.Signals) -> Callable[[Held], None]:
    def send(one: Held) -> None:
        """Twice: who is impatient takes nothing from its end."""
        os.kill(one.pid, number)
        time.sleep(0.2)
        with suppress(ProcessLookupError):
            os.kill(one.pid, number)

    return send


def to_the_group(number: signal.Signals) -> Callable[[Held], None]:
    return lambda one: os.killpg(one.owner, number)


# A queue's jobs cost more than a machine's own workers: those are looked at every day.
KINDS = ["slurm", pytest.param("local", marks=pytest.mark.slow)]


def to_all(one: Held) -> None:
    for pid in one.all():
        with suppress(ProcessLookupError):  # whose end was another's
            os.kill(pid, signal.SIGTERM)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "end",
    [
        pytest.param(to_the_cluster(signal.SIGTERM), id="SIGTERM"),
        pytest.param(to_the_cluster(signal.SIGHUP), id="SIGHUP"),
        pytest.param(to_the_group(signal.SIGHUP), id="a terminal hangs up"),
        pytest.param(to_the_group(signal.SIGKILL), id="its group is killed"),
        pytest.param(to_all, id="Slurm ends the job of the stage"),
    ],
)
def test_nothing_is_left(kind: str, end: Callable[[Held], None], tmp_path: Path) -> None:
    with held(kind, tmp_path, sys.executable, "-c", STAGE) as one:
        all_there(one)
        cluster = tree(one.pid)
        end(one)
        all_gone(one, cluster)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_by_a_flow(kind: str, number: signal.Signals, tmp_path: Path) -> None:
    with held(kind, tmp_path, sys.executable, "-c", FLOW, STAGE) as one:
        all_there(one)
        tether = tree(one.owner)[1]
        # What is slow to cancel outlives the patience that the tether has with its group.
        assert os.getpgid(tether) == tether != os.getpgid(one.pid)
        family = one.all()
        os.kill(one.owner, number)
        all_gone(one, family[1:])


def test_a_job_that_is_being_submitted_is_cancelled(tmp_path: Path) -> None:
    sbatch = "#!/bin/sh\nkill -TERM $PPID\nsleep 0.2\necho 77\n"
    with held("slurm", tmp_path, sys.executable, "-c", STAGE, sbatch=sbatch) as one:
        all_gone(one, [one.pid])


def test_nohup_is_heeded(tmp_path: Path) -> None:
    with held("slurm", tmp_path, "nohup", sys.executable, "-c", STAGE) as one:
        assert ignored(one.pid, signal.SIGHUP) and not ignored(one.pid, signal.SIGTERM)


def ignored(pid: int, number: signal.Signals) -> bool:
    """Whether a process goes on as if the signal had not come, as the kernel knows it."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    (mask,) = (line.split()[1] for line in status if line.startswith("SigIgn:"))
    return bool(int(mask, 16) >> (number - 1) & 1)


def wait_for(told: Callable[[], bool], what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not told():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    below: list[str] = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):  # whichever thread started it
        below += thread.read_text().split()
    return [pid, *(one for child in below for one in tree(int(child)))]
