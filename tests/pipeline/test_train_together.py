"""Stage ``train`` by two processes: the first does what it does alone, the other only computes."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from geocore.errors import UserError
from geocore.pipeline.train import STAGE
from geocore.pipeline.training import follow
from geocore.train.feed import Feed
from geocore.train.processes import call, dismiss
from geocore.train.torchrun import Place
from tests.pipeline.test_train import KEY, job_in, run, write_table
from tests.train.spawned import begin, spawn

OUTPUTS = ["curve.csv", "metrics.json", "model.json", "weights.safetensors"]


def leads_or_follows(here: Place, folder: str) -> None:
    """In one of two processes."""
    root, notes = Path(folder), dict[str, Any]()
    if here.rank:
        follow(here, root)
        return
    try:
        run(job_in(root, notes))
    finally:
        dismiss(here)
    (root / "notes.json").write_text(json.dumps(notes))


def dies(here: Place, folder: str) -> None:
    """Process 1 is killed after the first checkpoint, in the middle of the training."""
    if here.rank:
        store = Path(folder) / "store"
        take = Feed.__call__

        def killed(self: Feed, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            if len(list(store.rglob("state.json"))) == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            return take(self, positions)

        Feed.__call__ = killed  # type: ignore[method-assign]
        follow(here, Path(folder))
        return
    try:
        STAGE.make(job_in(Path(folder)))
    except UserError as error:
        (Path(folder) / "told").write_text(str(error))


def calls_for_another_table(here: Place, folder: str) -> None:
    if here.rank == 0:
        job = job_in(Path(folder))
        sections = {name: kind.model_dump(mode="json") for name, kind in job.sections.items()}
        call(here, json.dumps({**sections, "table": "data/healpix", "digest": "0"}))
        return
    try:
        follow(here, Path(folder))
    except UserError as error:
        (Path(folder) / "told").write_text(str(error))


def read(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any], list[dict[str, float]]]:
    with (folder / "curve.csv").open() as stream:
        rows = [{name: float(v) for name, v in row.items()} for row in csv.DictReader(stream)]
    metrics = json.loads((folder / "metrics.json").read_text())
    return load_file(folder / "weights.safetensors"), metrics, rows


def test_two_write_what_one_writes(tmp_path: Path) -> None:
    """Up to rounding; once, by the first; and a run that finds the training needs no others."""
    for name in ("one", "two"):
        write_table(tmp_path / name)
    run(job_in(tmp_path / "one"))
    both = ("tests.pipeline.test_train_together", "leads_or_follows", str(tmp_path / "two"))
    spawn(2, *both)
    folders = [tmp_path / name / "results/train" for name in ("one", "two")]
    (_, one, curve), (_, two, other) = map(read, folders)
    assert [sorted(path.name for path in folder.iterdir()) for folder in folders] == [OUTPUTS] * 2
    assert two == pytest.approx(one, rel=1e-6)
    for row, found in zip(curve, other, strict=True):
        assert found == pytest.approx(row, rel=1e-6, abs=1e-9)
    notes = json.loads((tmp_path / "two/notes.json").read_text())
    assert notes["processes"] == 2
    assert notes["pieces"][KEY] == "made"
    stores = [
        {path.parent.name for path in (tmp_path / name / "store").rglob("piece.json")}
        for name in ("one", "two")
    ]
    assert stores[0] == stores[1]

    spawn(2, *both)
    notes = json.loads((tmp_path / "two/notes.json").read_text())
    assert notes["pieces"] == {KEY: "found"}
    assert "processes" not in notes


def test_killed_in_the_middle_and_gone_on_by_one(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_table(tmp_path / name)
    run(job_in(tmp_path / "one"))
    root = tmp_path / "two"
    processes = begin(2, "tests.pipeline.test_train_together", "dies", str(root))
    told = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, -9], told
    assert re.fullmatch(
        r"training by 2 processes: process 0 lost the others \(.+\); "
        r"run it again and it goes on",
        (root / "told").read_text(),
    )
    assert not (root / "results").exists()
    notes: dict[str, Any] = {}
    job = job_in(root, notes)
    assert job.store.find(KEY) is None
    run(job)
    assert notes["resumed_from"] > 0
    (_, one, curve), (_, two, other) = (
        read(tmp_path / n / "results/train") for n in ("one", "two")
    )
    assert two == pytest.approx(one, rel=1e-6)
    for row, found in zip(curve, other, strict=True):
        assert found == pytest.approx(row, rel=1e-6, abs=1e-9)


def test_a_process_that_sees_another_table_says_so(tmp_path: Path) -> None:
    write_table(tmp_path)
    spawn(2, "tests.pipeline.test_train_together", "calls_for_another_table", str(tmp_path))
    assert (tmp_path / "told").read_text() == (
        "process 1 of 2: data/healpix is another table than that of process 0; "
        "expected a folder that all processes see"
    )
