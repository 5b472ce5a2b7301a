"""The stage ``timings``: costs of each construction, measured whenever it is asked."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from geocore.pipeline import law_timing
from geocore.pipeline.run import make, whole
from geocore.pipeline.stopwatch import machine
from geocore.pipeline.timings import STAGE
from tests.pipeline.law_jobs import FEW, few, job


def test_costs_are_written_and_never_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(law_timing, "constructions", few)
    notes: dict[str, Any] = {}
    here = job(tmp_path, STAGE, notes)
    make(here)
    assert notes["machine"] == machine()
    assert not whole(here)
    with (tmp_path / "studies/mine/results/timings/table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["construction"] for row in rows} == set(FEW)
    for row in rows:
        assert 0 < float(row["forward_ms"]) < 10_000
        assert 0 < float(row["forward_and_backward_ms"]) < 10_000
    sizes = {row["construction"]: int(row["parameters"]) for row in rows}
    # Lifting 4 x 1 x 25 and 4 biases, group convolution 4 x 4 x 4 x 25 and 4 biases.
    assert sizes["group convolution C4"] == 104 + 1604
    assert sizes["silu on SO(3), oversampled twice"] == 0
