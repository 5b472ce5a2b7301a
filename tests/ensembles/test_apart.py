"""Chunks in processes of their own: the same bytes, one line for a mistake, nobody left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geocore.data.table import Table
from geocore.ensembles.apart import Workers
from geocore.ensembles.chunk import train_chunk
from geocore.errors import UserError
from tests.models.encoders import model_params
from tests.pipeline.test_train import write_table
from tests.train.scenes import CPU, train_params

MODEL = model_params(depths=(1, 1), heads=(1, 2), dropout=0.2)


def workers(root: Path, **train: Any) -> Workers:
    return Workers(root / "data/healpix", MODEL, train_params(**{"epochs": 2, **train}), "cpu", 1)


def test_the_bytes_are_those_of_a_training_here(tmp_path: Path) -> None:
    write_table(tmp_path)
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    table = Table.open(tmp_path / "data/healpix")
    own = train_chunk(here, [7, 8], MODEL, train_params(epochs=2, seed=1), table, CPU)
    steps: list[tuple[int, str]] = []
    with workers(tmp_path) as pool:
        other = pool.train_chunk(there, [7, 8], lambda *step: steps.append(step))
    assert own == other
    names = sorted(path.name for path in here.iterdir())
    assert names == sorted(path.name for path in there.iterdir())
    for name in names:
        assert (here / name).read_bytes() == (there / name).read_bytes(), name
    assert steps[0][0] == 1


def test_a_mistake_there_is_the_same_line_here(tmp_path: Path) -> None:
    def spoil(columns: dict[str, np.ndarray]) -> None:
        columns["image"][:] = np.nan

    write_table(tmp_path, change=spoil)
    (tmp_path / "part").mkdir()
    with workers(tmp_path) as pool, pytest.raises(UserError) as caught:
        pool.train_chunk(tmp_path / "part", [7], lambda *_: None)
    (line,) = caught.value.lines
    assert line.startswith("training of the member of seed 7 stopped at step 0, epoch 0, learning ")


def test_a_worker_that_dies_is_told(tmp_path: Path) -> None:
    write_table(tmp_path)
    (tmp_path / "part").mkdir()
    with workers(tmp_path, epochs=1000) as pool:

        def kill(*_: object) -> None:
            for process in pool._running:
                process.kill()

        with pytest.raises(RuntimeError, match="a worker of the ensemble ended with code -9"):
            pool.train_chunk(tmp_path / "part", [7], kill)


def test_a_worker_ends_with_whoever_asked(tmp_path: Path) -> None:
    write_table(tmp_path)
    (tmp_path / "part").mkdir()
    request = {
        "table": str(tmp_path / "data/healpix"), "folder": str(tmp_path / "part"), "seeds": [1],
        "checkpoints": None,
        "model": MODEL.model_dump(mode="json"), "device": "cpu", "threads": 1,
        "train": train_params(epochs=100_000, patience=100_000).model_dump(mode="json"),
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "geocore.ensembles.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    try:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["told"][0] == 1, "it trains"
        process.stdin.close()
        assert process.wait(timeout=20) == 1
    finally:
        process.kill()
        if process.stdout is not None:
            process.stdout.close()
