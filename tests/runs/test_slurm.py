"""Workers as an array of jobs: on a real Slurm of one node that the test starts, if it is there.

Debian: ``apt-get install slurmd slurmctld munge``, and a shell of root.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("dask_jobqueue")

from geocore.errors import UserError
from geocore.runs.cluster import Cluster, Task
from geocore.runs.cluster_process import ClusterProcess

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "squeue")
LACKING = [name for name in PROGRAMS if shutil.which(name) is None]
ROOT = Path(__file__).parents[2]
real = pytest.mark.skipif(
    bool(LACKING) or os.geteuid() != 0, reason=f"needs a shell of root, and {', '.join(LACKING)}"
)
CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
ReturnToService=2
KillWait=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=1000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def wait_for(told: Callable[[], bool], what: str, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not told():
        assert time.monotonic() < end, what
        time.sleep(0.2)


def queue() -> list[str]:
    done = subprocess.run(["squeue", "--noheader"], capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A controller and one node of two cores; everything is ended with the module."""
    folder = tmp_path_factory.mktemp("slurm")
    folder.chmod(0o755)
    (folder / "key").write_bytes(os.urandom(128))
    (folder / "key").chmod(0o400)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    conf = folder / "slurm.conf"
    host = socket.gethostname().partition(".")[0]
    conf.write_text(CONF.format(host=host, folder=folder, ports=free_ports(2)))
    munge = [
        "munged", "--foreground", "--force", f"--key-file={folder}/key",
        f"--socket={folder}/munge.socket", f"--pid-file={folder}/munged.pid",
        f"--log-file={folder}/munged.log", f"--seed-file={folder}/seed",
    ]  # fmt: skip
    started = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(conf))
        patch.setenv("GEOCORE_HOME", str(folder / "home"))
        patch.setenv("DASK_JOBQUEUE__SLURM__MEMORY", "400MB")
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.chdir(ROOT)
        try:
            for command in (munge, ["slurmctld", "-D", "-c"], ["slurmd", "-D", "-c"]):
                with (folder / f"{command[0]}.log").open("wb") as log:
                    started.append(subprocess.Popen(command, stdout=log, stderr=log))
                if command is munge:
                    wait_for((folder / "munge.socket").exists, "munged began")
            sinfo = ["sinfo", "--noheader", "--format=%T"]
            wait_for(
                lambda: (
                    subprocess.run(sinfo, capture_output=True, text=True).stdout.strip() == "idle"
                ),
                "the node is idle",
            )
            yield folder
        finally:
            for process in reversed(started):
                process.terminate()
            for process in started:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                process.kill()
                process.wait()


def task() -> Task:
    """A function inside a function, which travels whole."""

    def where(request: dict[str, Any]) -> dict[str, Any]:
        if request["kill"] and not Path(request["kill"]).exists():
            Path(request["kill"]).touch()
            os._exit(1)
        return {"job": os.environ["SLURM_ARRAY_TASK_ID"], "x": request["x"]}

    return where


@real
@pytest.mark.slow
def test_an_array_works_and_ends(slurm: Path) -> None:
    said: list[str] = []
    with Cluster("slurm", 2, said.append) as cluster:
        wait_for(lambda: cluster.width() == 2, "both jobs run")
        assert len(queue()) == 2 and all("_" in line.split()[0] for line in queue()), "one array"
        assert cluster._process is not None
        assert cluster._process.address.startswith("tls://"), "nobody else talks to it"
        mark = str(slurm / "killed")
        asked = [{"x": x, "kill": mark if x == 2 else ""} for x in range(6)]
        futures = [cluster.submit(task(), request) for request in asked]
        answers = [cluster.answer(future, "it") for future in futures]
        assert [answer["x"] for answer in answers] == list(range(6)) and Path(mark).exists()
        assert {answer["job"] for answer in answers} <= {"1", "2"}
    wait_for(lambda: not queue(), "no job is left")
    assert list((slurm / "home/slurm").glob("*.err")), "what workers said is kept"


@real
@pytest.mark.slow
def test_no_job_is_left_by_who_was_killed(slurm: Path) -> None:
    code = (
        "import time; from geocore.runs.cluster_process import ClusterProcess; "
        "ClusterProcess('slurm', 1); print('up', flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "up\n"
        assert len(queue()) == 1
        holder.kill()
    wait_for(lambda: not queue(), "the job is cancelled")


@real
@pytest.mark.slow
def test_what_the_queue_refuses_is_one_line(slurm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASK_JOBQUEUE__SLURM__MEMORY", "1TB")
    with pytest.raises(
        UserError, match=r"^sbatch refused the array of Dask workers: sbatch: error"
    ):
        ClusterProcess("slurm", 1)
    assert not queue()


FAKE = """\
#!/bin/sh
echo "$0 $@" >> {folder}/asked
case $0 in *sbatch) shift; cat "$1" > {folder}/script; echo 77 ;; esac
"""


def test_the_script_is_dask_jobqueues_as_one_array(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By programs that keep what they are asked for, where there is no Slurm."""
    for name in ("sbatch", "scancel"):
        (tmp_path / name).write_text(FAKE.format(folder=tmp_path))
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("GEOCORE_HOME", str(tmp_path / "home"))
    for name, value in (
        ("QUEUE", "short"), ("ACCOUNT", "physics"), ("WALLTIME", "02:00:00"), ("MEMORY", "8GB"),
        ("JOB_EXTRA_DIRECTIVES", "['--constraint=amd']"),
    ):  # fmt: skip
        monkeypatch.setenv(f"DASK_JOBQUEUE__SLURM__{name}", value)
    monkeypatch.chdir(ROOT)
    process = ClusterProcess("slurm", 12)
    process.end()
    script = (tmp_path / "script").read_text().splitlines()
    for line in (
        "#SBATCH --array=1-12", "#SBATCH -p short", "#SBATCH -A physics", "#SBATCH -t 02:00:00",
        "#SBATCH -n 1", "#SBATCH --cpus-per-task=1", "#SBATCH --mem=8G",
        "#SBATCH --constraint=amd",
    ):  # fmt: skip
        assert line in script, line
    (worker,) = (line for line in script if "distributed.cli.dask_worker" in line)
    assert worker.startswith(sys.executable) and process.address in worker
    for said in ("--nthreads 1", "--death-timeout 60", "--tls-key", '--name "geocore-${SLURM_ARR'):
        assert said in worker, said
    asked = (tmp_path / "asked").read_text().splitlines()
    assert "--parsable" in asked[0] and asked[1].endswith("scancel 77")
