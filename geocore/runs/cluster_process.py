"""A Dask cluster that is started: a process beside this one holds it, and ends it.

It ends when the other end of its standard input does, however that ends: no worker of this machine
and no job of the queue is left behind by a killed run. SIGTERM and SIGHUP end it in the same order:
the array is cancelled, then what lies in folders is removed. It is asked by one line of JSON, and
answers with one: ``{"address", "tls"}``, or ``{"error"}``.

``local``: worker processes of one thread on 127.0.0.1. ``slurm``: one array of jobs, one worker of
one thread each, whose queue, account, memory and time are dask-jobqueue's own settings
(``jobqueue.slurm``, from a file in ``~/.config/dask`` or from ``DASK_JOBQUEUE__SLURM__QUEUE``).
Its wire lies open to the cluster's network, and whoever talks on it runs code as its owner: it is
TLS with a certificate made for this one run.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from geocore.errors import UserError
from geocore.runs.home import geocore_home, project_root

__all__ = ["ClusterProcess", "array_script", "main"]

_HOME = Path(__file__).parents[2]
_END = 20.0  # seconds until a cluster that was asked to end is ended
_TLS = ("tls_ca_file", "tls_client_cert", "tls_client_key")
_NO_PAGES = ("--no-dashboard", "--dashboard-address", "127.0.0.1:0")
_MEMORY = "4GiB"  # of a job, where dask-jobqueue's settings say nothing


class ClusterProcess:
    """A cluster of ``workers`` in a process of its own, at ``address`` once that is known.

    ``kind`` is ``local`` or ``slurm``. Raises ``UserError`` where it cannot be started.
    """

    def __init__(self, kind: str, workers: int) -> None:
        path = os.pathsep.join([str(_HOME), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "geocore.runs.cluster_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
            # Whoever kills the group of whoever asked (a terminal that hangs up, a cancelled flow)
            # leaves this one the time that it takes to cancel jobs: its input ends all the same.
            start_new_session=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None  # both pipes
        with suppress(BrokenPipeError):  # then there is no answer either
            self._process.stdin.write(json.dumps({"kind": kind, "workers": workers}) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {}
        if "address" not in answer:
            self.end()
            code = self._process.returncode
            raise UserError(
                *answer.get("error", [f"the {kind} Dask cluster ended with code {code} at start"])
            )
        self.address: str = answer["address"]
        self.tls: dict[str, str] = answer["tls"]  # what ``distributed.Security`` takes

    def end(self) -> None:
        """End the cluster and wait until it has."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def main() -> int:
    """Hold the cluster that the first line of standard input asks for, until there is no more.

    SIGTERM and SIGHUP count as the end of input, and change nothing once it has come.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever asked
    signalled = _signalled()
    answers = os.dup(1)
    os.dup2(2, 1)  # what workers print is no answer: nobody would read it, and they would wait
    request = json.loads(sys.stdin.readline())
    held = {"local": _local, "slurm": _slurm}[request["kind"]]
    try:
        with held(request["workers"]) as (address, tls):
            _answer(answers, address=address, tls=tls)
            while signalled not in select.select([0, signalled], [], [])[0] and os.read(0, 4096):
                pass
    except UserError as error:
        _answer(answers, error=list(error.lines))
        return error.exit_code
    return 0


def _signalled() -> int:
    """What can be read from once a signal has asked this process to end; none ends it any more.

    A handler that raised would do so in the middle of ``sbatch``, whose job nobody then knew of.
    """
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as it is under nohup
            signal.signal(number, lambda *_: None)  # unlike SIG_IGN, workers do not inherit it
    return heard


def _answer(answers: int, **values: Any) -> None:
    with suppress(BrokenPipeError):
        os.write(answers, f"{json.dumps(values)}\n".encode())


@contextmanager
def _local(workers: int) -> Iterator[tuple[str, dict[str, str]]]:
    """Worker processes on 127.0.0.1, each started again if it dies."""
    import dask
    from distributed import LocalCluster

    # Of what Dask puts there, giving memory back at every turn is left out: pieces of work hold
    # large arrays, and would ask the system for each page of them anew.
    variables = {"OMP_NUM_THREADS": 1, "MKL_NUM_THREADS": 1, "OPENBLAS_NUM_THREADS": 1}
    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ": variables}),
        tempfile.TemporaryDirectory(prefix="geocore-dask-", ignore_cleanup_errors=True) as scratch,
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # of its plain HTTP pages
            memory_limit=0,
            local_directory=scratch,
            silence_logs=50,  # of what is lost, whoever asked is told
        ) as cluster,
    ):
        yield cluster.scheduler_address, {}


@contextmanager
def _slurm(workers: int) -> Iterator[tuple[str, dict[str, str]]]:
    """A scheduler here, and one array of ``workers`` jobs that look for it."""
    for program in ("sbatch", "scancel"):
        if shutil.which(program) is None:
            raise UserError(f"GEOCORE_DASK is slurm, and there is no {program}; expected Slurm's")
    if importlib.util.find_spec("cryptography") is None:
        raise UserError(
            "GEOCORE_DASK is slurm, and cryptography is not installed; expected pip install "
            "cryptography, which keeps others on the network out"
        )
    import dask
    from dask_jobqueue.slurm import SLURMCluster
    from distributed import Security

    logs = geocore_home(project_root()) / "slurm"
    logs.mkdir(parents=True, exist_ok=True)
    settings = dask.config.get("jobqueue.slurm")
    options: dict[str, Any] = {
        "cores": settings.get("cores") or 1,
        "processes": settings.get("processes") or settings.get("cores") or 1,
        "memory": settings.get("memory") or _MEMORY,
        "log_directory": settings.get("log-directory") or str(logs),
        "worker_extra_args": [*(settings.get("worker-extra-args") or []), *_NO_PAGES],
        "scheduler_options": {"dashboard_address": "127.0.0.1:0", "dashboard": False},
        "shared_temp_directory": settings.get("shared-temp-directory") or str(logs),
    }
    security = Security.temporary()
    tls = {name: getattr(security, name) for name in _TLS}
    with SLURMCluster(n_workers=0, silence_logs=50, security=security, **options) as cluster:
        script = array_script(cluster.job_script(), workers)
        with tempfile.NamedTemporaryFile("w", suffix=".sh", dir=logs) as file:
            file.write(script)
            file.flush()
            done = subprocess.run(
                ["sbatch", "--parsable", file.name], capture_output=True, text=True, check=False
            )
        if done.returncode != 0:
            last = done.stderr.strip().rpartition("\n")[2]
            raise UserError(f"sbatch refused the array of Dask workers: {last}")
        job = done.stdout.strip().partition(";")[0]
        try:
            yield cluster.scheduler_address, tls
        finally:
            subprocess.run(["scancel", job], capture_output=True, check=False)


def array_script(script: str, workers: int) -> str:
    """dask-jobqueue's script of one worker as that of an array of ``workers``, each with its name.

    Raises ``ValueError`` for a script that names its worker in no way that is known.
    """
    named = '--name "geocore-${SLURM_ARRAY_JOB_ID}-${SLURM_ARRAY_TASK_ID}"'
    script, count = re.subn(r"--name dummy-name\b", lambda _: named, script)
    if count != 1:
        raise ValueError(f"script names {count} workers; expected --name dummy-name once")
    first, rest = script.split("\n", 1)
    return f"{first}\n#SBATCH --array=1-{workers}\n{rest}"


if __name__ == "__main__":
    sys.exit(main())
