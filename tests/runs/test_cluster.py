"""Where work goes, what starts a cluster, and that nothing of it outlives whoever started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed")

import dask
from distributed import LocalCluster, Security

from geocore.errors import UserError
from geocore.runs import cluster as clusters
from geocore.runs.cluster import Cluster, Task, cluster_place, made_by, other_than
from geocore.runs.cluster_process import ClusterProcess, array_script
from geocore.runs.processes import alive

ROOT = Path(__file__).parents[2]


def _tasks() -> tuple[Task, ...]:
    """Functions inside a function, which travel whole: a worker need not find this file."""

    def square(request: dict[str, Any]) -> dict[str, Any]:
        return {"square": request["x"] ** 2}

    def die_once(request: dict[str, Any]) -> dict[str, Any]:
        """Kill the first worker that is asked for 3."""
        folder = Path(request["folder"])
        if request["x"] == 3 and not (folder / "killed").exists():
            (folder / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        with (folder / "answers").open("a") as file:
            file.write(f"{request['x']}\n")
        return square(request)

    def mistaken(request: dict[str, Any]) -> dict[str, Any]:
        return {"error": [f"x is {request['x']}; expected another"]}

    def always_die(request: dict[str, Any]) -> dict[str, Any]:
        os._exit(1)

    def talk(request: dict[str, Any]) -> dict[str, Any]:
        return {"told": os.write(1, b"." * (2**18 - 1) + b"\n")}

    return square, die_once, mistaken, always_die, talk


square, die_once, mistaken, always_die, talk = _tasks()


@pytest.fixture(scope="module")
def local() -> Iterator[Cluster]:
    with Cluster("local", 2) as found:
        yield found


def test_the_environment_and_the_runner_say_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GEOCORE_DASK", raising=False)
    assert cluster_place() is None and cluster_place("dask") == "local"
    monkeypatch.setenv("GEOCORE_DASK", " tcp://127.0.0.1:8786 ")
    assert cluster_place() == cluster_place("dask") == "tcp://127.0.0.1:8786"
    monkeypatch.setenv("GEOCORE_DASK", "slurm")
    assert cluster_place() == "slurm"
    for wrong in ("here", "tcp://host", "http://host:80", "tcp://host:80/x"):
        monkeypatch.setenv("GEOCORE_DASK", wrong)
        with pytest.raises(UserError) as caught:
            cluster_place()
        assert caught.value.lines == (
            f"GEOCORE_DASK is '{wrong}'; expected tcp://HOST:PORT or tls://HOST:PORT, a Dask "
            "scheduler's, or slurm",
        )
    monkeypatch.setenv("GEOCORE_DASK", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert cluster_place() is None
    with pytest.raises(UserError, match=r"runtime\.runner is dask, and Dask is not installed; exp"):
        cluster_place("dask")


def test_a_local_cluster_listens_on_this_machine_alone(local: Cluster) -> None:
    assert local.width() == 2
    assert local.ask(square, {"x": 3}, "a square")["square"] == 9
    assert local._process is not None
    found = [listening(pid) for pid in tree(local._process._process.pid)]
    addresses = {address for some in found for address in some}
    assert len(addresses) >= 5 and {host for host, _ in addresses} == {"0100007F"}


def test_a_killed_workers_work_is_done_again_and_nothing_twice(
    local: Cluster, tmp_path: Path
) -> None:
    asked = [{"x": x, "folder": str(tmp_path)} for x in range(8)]
    futures = [local.submit(die_once, request) for request in asked]
    answers = [local.answer(future, "squares")["square"] for future in futures]
    assert answers == [x**2 for x in range(8)]
    assert (tmp_path / "killed").exists(), "a worker was killed in the middle of it"
    # What its own worker had finished and not handed on may be made again; the answers are one.
    assert set((tmp_path / "answers").read_text().split()) == {str(x) for x in range(8)}


def test_what_a_task_tells_is_a_mistake_and_a_task_that_kills_is_told(local: Cluster) -> None:
    with pytest.raises(UserError, match="x is 1; expected another"):
        local.ask(mistaken, {"x": 1}, "it")
    with pytest.raises(RuntimeError, match=r"every Dask worker of local died that made it; expect"):
        local.ask(always_die, {}, "it")


def test_what_workers_print_makes_nobody_wait(local: Cluster) -> None:
    """It is more than a pipe holds that nobody reads."""
    assert local.ask(talk, {}, "talk") == {"told": 2**18}


def test_whoever_left_is_told(local: Cluster) -> None:
    other = Cluster(local._process.address) if local._process is not None else local
    with other:
        assert other.ask(square, {"x": 2}, "a square")["square"] == 4
    with pytest.raises(RuntimeError, match=r"was left; expected it in use"):
        other.client()


def test_a_scheduler_that_does_not_answer_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "_CONNECT", 0.2)
    with Cluster("tcp://127.0.0.1:9") as nowhere:
        for _ in range(2):
            with pytest.raises(UserError, match=r"^GEOCORE_DASK is tcp://127\.0\.0\.1:9, and no D"):
                nowhere.client()


def test_certificates_that_lack_are_told() -> None:
    with (
        Cluster("tls://127.0.0.1:9") as nowhere,
        pytest.raises(UserError, match=r"no certificates are known; expected Dask's settings dis"),
    ):
        nowhere.client()


def test_a_wire_of_tls_goes_by_dasks_settings(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    made = Security.temporary()
    files = {}
    for name in ("tls_ca_file", "tls_client_cert", "tls_client_key"):
        (tmp_path / name).write_text(getattr(made, name))
        files[name] = str(tmp_path / name)
    settings = {
        "distributed.comm.tls.ca-file": files["tls_ca_file"],
        "distributed.comm.tls.client.cert": files["tls_client_cert"],
        "distributed.comm.tls.client.key": files["tls_client_key"],
    }
    with (
        LocalCluster(
            1, processes=False, protocol="tls", security=made, dashboard_address=None
        ) as running,
        dask.config.set(settings),
        Cluster(running.scheduler_address) as reached,
    ):
        assert running.scheduler_address.startswith("tls://")
        assert reached.ask(square, {"x": 3}, "a square")["square"] == 9


def test_code_and_libraries_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = made_by("ab")
    monkeypatch.setattr(clusters, "_BEGAN", time.time() + 1)
    assert other_than(mine, "ab") is None
    told = other_than({**mine, "python": "2.7"}, "ab")
    assert told is not None and told.startswith("a Dask worker has python 3.")
    assert other_than(mine, "cd") == (
        "a Dask worker has code cd; expected ab, as here, so that results are the same"
    )


def test_a_worker_of_code_that_was_changed_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Digests are of files; what runs was read from them earlier."""
    mine = made_by("ab")
    monkeypatch.setattr(clusters, "_BEGAN", 0.0)
    told = other_than(mine, "ab")
    assert told is not None and told.startswith("a Dask worker began before geocore")


def test_nobody_waits_for_a_queue_who_was_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread waits for a worker, for days if need be; another one leaves, after Ctrl-C say."""
    monkeypatch.setattr(clusters, "_GLANCE", 0.1)
    monkeypatch.setattr(clusters, "_WORKERS", 600.0)
    waiting = threading.Event()

    class Empty:
        def __init__(self, *_: Any, **__: Any) -> None: ...
        def close(self, **_: Any) -> None: ...
        def wait_for_workers(self, count: int, timeout: float) -> None:
            waiting.set()
            time.sleep(timeout)
            raise TimeoutError

    monkeypatch.setattr("distributed.Client", Empty)
    cluster = Cluster("tcp://127.0.0.1:9")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(cluster.client)
        assert waiting.wait(60)
        cluster.close()
        with pytest.raises(RuntimeError, match="was left; expected it in use"):
            asked.result(60)


HOLDER = """
import sys, time
from geocore.runs.cluster_process import ClusterProcess
held = ClusterProcess("local", 2)
print(held._process.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("victim", ["whoever started it", "the cluster itself"])
def test_no_process_is_left_after_a_kill(victim: str, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},  # a cluster that is killed leaves its folder
    ) as holder:
        assert holder.stdout is not None
        pid = int(holder.stdout.readline())
        end = time.monotonic() + 30
        while len(found := tree(pid)) < 4 and time.monotonic() < end:
            time.sleep(0.05)
        assert len(found) >= 4, "the cluster, its two workers, and who tracks what they share"
        os.kill(holder.pid if victim == "whoever started it" else pid, signal.SIGKILL)
        while any(alive(one) for one in found) and time.monotonic() < end:
            time.sleep(0.05)
        left = [one for one in found if alive(one)]
        holder.kill()
    assert not left


def test_a_cluster_that_cannot_start_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="GEOCORE_DASK is slurm, and there is no sbatch; expected"):
        ClusterProcess("slurm", 2)


def test_an_array_names_each_of_its_workers() -> None:
    script = "#!/bin/sh\n#SBATCH -n 1\npython -m worker tcp://a:1 --name dummy-name --nthreads 1\n"
    lines = array_script(script, 5).splitlines()
    assert lines[:3] == ["#!/bin/sh", "#SBATCH --array=1-5", "#SBATCH -n 1"]
    assert '--name "geocore-${SLURM_ARRAY_JOB_ID}-${SLURM_ARRAY_TASK_ID}" --nthreads' in lines[3]
    with pytest.raises(ValueError, match="script names 0 workers; expected --name dummy-name once"):
        array_script("#!/bin/sh\n", 1)


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    below: list[str] = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):  # whichever thread started it
        below += thread.read_text().split()
    return [pid, *(one for child in below for one in tree(int(child)))]


def listening(pid: int) -> set[tuple[str, str]]:
    """Host and port, in hexadecimal digits, that a process listens on."""
    held = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            held.add(str(link.readlink()))
        except OSError:  # closed meanwhile
            continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in held:
                host, port = fields[1].split(":")
                found.add((host, port))
    return found
