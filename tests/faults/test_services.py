"""What a run leans on goes away: Prefect's server, a worker of a Dask cluster."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from geocore.runs.digest import digest_tree
from geocore.runs.store import Store
from tests.faults.injecting import Prepared
from tests.faults.rows import Row, record
from tests.faults.workshop import Faults, Workshop
from tests.flows.project import Project, copy_project, user_environment

pytestmark = [pytest.mark.faults, pytest.mark.slow]
PATIENCE = 900  # seconds for what takes a few where the machine is idle


def step(project: Project) -> int:
    """The step of the newest checkpoint."""
    pieces = Store(project.root / ".geocore/store").pieces()
    steps = [p.values["step"] for p in pieces if p.manifest["verb"] == "checkpoint"]
    return max(steps, default=-1)


def told(said: str) -> str:
    """The line for the user, which no word of Prefect's stands in."""
    return next((line for line in said.splitlines() if line.startswith("error: ")), "")


def test_the_server_is_gone(tmp_path: Path) -> None:
    """Killed in mid-run: that run ends, well or with a line, and the next one goes on by itself.

    The bytes are those of a training that nothing disturbs, and that finds nothing to go on from.
    """
    project = copy_project(tmp_path / "project", user_environment())
    project.set(train__epochs=40, runtime__checkpoint_every=2, train__patience=100)
    done = project.repro("resample")
    assert done.returncode == 0, done.stdout + done.stderr
    started = project.run("flows.server", "start")
    assert started.returncode == 0, started.stdout + started.stderr
    try:
        process = project.start("dvc", "repro", "train")
        end = time.monotonic() + PATIENCE
        while step(project) < 4:
            assert process.poll() is None and time.monotonic() < end, process.communicate()[0]
            time.sleep(0.01)
        state = project.json(".prefect/server.json")
        for name in ("keeper", "server"):
            with contextlib.suppress(ProcessLookupError, KeyError):
                os.kill(state[name]["pid"], signal.SIGKILL)
        said, _ = process.communicate(timeout=PATIENCE)
        reached = step(project)
        again = project.repro("train")
        print(process.returncode, said[-3000:], again.stdout[-3000:])
        newest, *_, first = project.runs("train") * 2
        found = digest_tree(project.root / "results/train")
        shutil.rmtree(project.root / ".geocore/store")
        calm = project.repro("--force", "--single-item", "train")
        assert calm.returncode == 0, calm.stdout
    finally:
        project.run("flows.server", "stop")
    if first["state"] == "done":  # its work was, and only Prefect could not be told
        lost = newest["run"] != first["run"] and "made" in newest["pieces"].values()
    else:
        lost = newest.get("resumed_from", -1) < reached
    assert "made" in project.runs("train")[0]["pieces"].values()
    wrong = digest_tree(project.root / "results/train") != found
    unclear = (again.returncode != 0) + ("Traceback" in said)
    unclear += process.returncode != 0 and not told(said)
    row = Row("Prefect's server killed", "train", 1, int(lost), int(wrong), unclear, told(said))
    assert record(row).survived


def test_a_worker_of_the_cluster_is_gone(
    shop: Workshop, prepared: Prepared, tmp_path: Path
) -> None:
    """Its chunk is trained by the other one, from its last checkpoint; the bytes are the same."""
    pytest.importorskip("distributed")
    from tests.ensembles.dask_cluster import cluster

    known = prepared.undisturbed("ensemble")
    project = prepared.copy("ensemble")
    with cluster(tmp_path, "first", "second") as found:
        address = Faults(environment={"GEOCORE_DASK": found.address})
        run = shop.start(project.root, "ensemble", address)
        end = time.monotonic() + shop.patience
        while not project.pieces() and (project.step() or 0) < 2:
            assert time.monotonic() < end and not run.ended(), run.wait().said
            time.sleep(0.01)
        found.processes["first"].kill()
        ended = run.wait()
    newest = project.ledger.runs("ensemble")[0]
    print(ended.code, ended.said, newest.get("dask"), newest["pieces"])
    lost = len(known.pieces - project.pieces())
    wrong = known.wrong(project) + len(project.store.check())
    row = Row("a Dask worker killed", "ensemble", 1, lost, wrong, int(ended.code != 0))
    assert record(row).survived and newest["dask"]
