"""Chunks on a Dask cluster: the same bytes, whoever dies on the way, and one line for a mistake."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("distributed")

from geocore.data.table import Table
from geocore.ensembles import on_dask
from geocore.ensembles.chunk import train_chunk
from geocore.ensembles.on_dask import DaskWorkers
from geocore.errors import UserError
from geocore.runs import cluster as clusters
from geocore.runs.slots import Slots
from geocore.runs.store import Store
from tests.ensembles.dask_cluster import DaskProcesses, cluster
from tests.models.encoders import model_params
from tests.pipeline.stages import results_of
from tests.pipeline.test_ensemble import job_in
from tests.pipeline.test_train import write_table
from tests.train.scenes import CPU, train_params

MODEL = model_params(depths=(1, 1), heads=(1, 2), dropout=0.2)
SEEDS = [7, 8]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskProcesses]:
    """A scheduler and two workers."""
    with cluster(tmp_path_factory.mktemp("cluster"), "first", "second") as found:
        yield found


def workers(address: str, root: Path, **train: Any) -> DaskWorkers:
    params = train_params(**{"epochs": 2, **train})
    return DaskWorkers(clusters.Cluster(address), root / "data/healpix", MODEL, params, "cpu", 1)


def folder_in(root: Path, name: str = "part") -> Path:
    (root / name).mkdir()
    return root / name


def mistake(pool: DaskWorkers, root: Path) -> str:
    with pool, pytest.raises(UserError) as caught:
        pool.train_chunk(folder_in(root), SEEDS, lambda *_: None)
    (line,) = caught.value.lines
    return line


def test_the_bytes_are_those_of_a_training_here(two: DaskProcesses, tmp_path: Path) -> None:
    write_table(tmp_path)
    here, there = folder_in(tmp_path, "here"), folder_in(tmp_path, "there")
    table = Table.open(tmp_path / "data/healpix")
    own = train_chunk(here, SEEDS, MODEL, train_params(epochs=2), table, CPU)
    steps: list[tuple[int, str]] = []
    with workers(two.address, tmp_path) as pool:
        other = pool.train_chunk(there, SEEDS, lambda *step: steps.append(step))
    assert own == other
    names = sorted(path.name for path in here.iterdir())
    assert names == sorted(path.name for path in there.iterdir())
    for name in names:
        assert (here / name).read_bytes() == (there / name).read_bytes(), name
    assert steps[0][0] == 1, "the worker tells how far it is"


@pytest.mark.slow  # two more processes that import torch
def test_the_stage_gives_the_same_bytes(
    two: DaskProcesses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for name, address in (("here", ""), ("there", two.address)):
        monkeypatch.setenv("GEOCORE_DASK", address)
        root = folder_in(tmp_path, name)
        write_table(root)
        notes: dict[str, Any] = {}
        found.append(results_of(job_in(root, notes, members=2, chunk=1, epochs=1)))
        assert notes.get("dask", "") == address, "the ledger says where"
    assert found[0] == found[1] and found[0]


@pytest.mark.slow  # one more
def test_a_mistake_there_is_the_same_line_here(two: DaskProcesses, tmp_path: Path) -> None:
    def spoil(columns: dict[str, np.ndarray]) -> None:
        columns["image"][:] = np.nan

    write_table(tmp_path, change=spoil)
    line = mistake(workers(two.address, tmp_path), tmp_path)
    assert line.startswith("training of the member of seed 7 stopped at step 0, epoch 0, learning ")


def test_a_table_that_a_worker_does_not_see_is_told(two: DaskProcesses, tmp_path: Path) -> None:
    write_table(tmp_path)
    pool = workers(two.address, tmp_path)
    pool._asked()
    (tmp_path / "data/healpix/table.json").rename(tmp_path / "table.json")
    line = mistake(pool, tmp_path)
    assert line.startswith("Dask worker tcp://127.0.0.1:")
    assert line.endswith(
        f" has no table at {tmp_path}/data/healpix; expected a file system shared with whoever "
        "trains the ensemble"
    )


def test_another_table_or_other_code_there_is_told(two: DaskProcesses, tmp_path: Path) -> None:
    write_table(tmp_path)
    for key, value, told in (
        ("table_digest", "0", f"another table at {tmp_path}/data/healpix; expected the same"),
        ("made_by", {"torch": "0"}, "expected 0, as here, so that results are the same"),
    ):
        pool = workers(two.address, tmp_path)
        pool._asked()
        pool._common[key] = value
        assert mistake(pool, tmp_path).endswith(told)
        (tmp_path / "part").rmdir()


def test_what_is_no_scheduler_is_told_once_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_table(tmp_path)
    monkeypatch.setattr(clusters, "_CONNECT", 0.5)
    monkeypatch.setenv("GEOCORE_DASK", "tcp://127.0.0.1:1")
    began = time.monotonic()
    with pytest.raises(UserError) as caught:  # three chunks, of which one finds out
        results_of(job_in(tmp_path, members=3, chunk=1, epochs=1))
    assert caught.value.lines == (
        "GEOCORE_DASK is tcp://127.0.0.1:1, and no Dask scheduler answers there (OSError); "
        "expected one: dask scheduler",
    )
    assert time.monotonic() - began < 20, "half a second, on a machine that does nothing else"


@pytest.mark.slow  # starts a cluster of its own
def test_whoever_leaves_is_not_worked_for(tmp_path: Path) -> None:
    write_table(tmp_path)
    with cluster(tmp_path, "only") as found:
        with workers(found.address, tmp_path, epochs=100_000, patience=100_000) as pool:
            client = pool.cluster.client()
            request = {**pool._asked(), "name": "x", "seeds": SEEDS, "checkpoints": None}
            future = client.submit(on_dask.train_chunk, request, pure=False)
            while not any(client.processing().values()):
                time.sleep(0.05)
            future.cancel()
        with workers(found.address, tmp_path) as other:
            # The only thread of the only worker: endless, if it had not given up the first.
            other.train_chunk(folder_in(tmp_path), SEEDS, lambda *_: None)
    with pytest.raises(RuntimeError, match="was left; expected it in use"):
        pool.train_chunk(tmp_path / "part", SEEDS, lambda *_: None)


@pytest.mark.slow  # starts a cluster of its own
def test_killed_with_its_worker_it_goes_on_on_another(tmp_path: Path) -> None:
    write_table(tmp_path)
    params = train_params(epochs=40, patience=40)
    here, there = folder_in(tmp_path, "here"), folder_in(tmp_path, "there")
    table, store = Table.open(tmp_path / "data/healpix"), Store(tmp_path / "store")
    own = train_chunk(here, SEEDS, MODEL, params, table, CPU)
    killed: list[int] = []
    seen: list[int] = []
    with (
        cluster(tmp_path, "first") as found,
        workers(found.address, tmp_path, epochs=40, patience=40) as pool,
    ):

        def kill(step: int, told: str) -> None:
            seen.append(step)
            if step > 10 and not killed:
                killed.append(step)
                found.worker("second")
                found.processes["first"].kill()

        slots = Slots(store, "ab" * 16)
        store.root.mkdir(exist_ok=True)
        other = pool.train_chunk(there, SEEDS, kill, slots=slots, checkpoint_every=10)
    assert killed, "it was killed while it trained"
    again = seen[seen.index(killed[0]) + 1 :]
    assert again and again[0] > killed[0] - 10, "it went on from a checkpoint"
    assert own == other
    for path in here.iterdir():
        assert path.read_bytes() == (there / path.name).read_bytes(), path.name
    assert json.loads((there / "curves.json").read_text())
