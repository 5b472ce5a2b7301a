"""The stage ``laws``: what is written, and that it is made again where it was altered."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from geocore.pipeline import law_measuring
from geocore.pipeline.laws import STAGE
from geocore.pipeline.run import make, whole
from tests.pipeline.law_jobs import FEW, few, job


def test_errors_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(law_measuring, "constructions", few)
    here = job(tmp_path, STAGE)
    assert not whole(here)
    manifest = make(here)
    assert whole(here) and manifest["constructions"] == 3
    folder = tmp_path / "studies/mine/results/laws"
    metrics = json.loads((folder / "metrics.json").read_text())
    each = metrics["constructions"]
    assert set(each) == set(FEW)
    assert metrics["worst"]["double"] == max(one.get("double", 0) for one in each.values()) < 1e-10
    assert set(each[FEW[2]]) == {"sampled"}
    with (folder / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["construction"] for row in rows] == list(FEW)
    for row in rows:
        told = each[row["construction"]]
        for column, kind in (("error_float64", "double"), ("error_sampled", "sampled")):
            assert (float(row[column]) if row[column] else None) == told.get(kind)
    assert (folder / "digits.png").read_bytes().startswith(b"\x89PNG")
    again = (folder / "table.csv").read_bytes()
    (folder / "table.csv").write_text("altered")
    assert not whole(here)
    make(here)
    assert (folder / "table.csv").read_bytes() == again
