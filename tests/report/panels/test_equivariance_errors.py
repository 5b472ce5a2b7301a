"""Equivariance errors read from a snapshot's table: means, floors, elements, nside, holes."""

from __future__ import annotations

from typing import Any

import pytest

from geocore.report.panels.equivariance_errors import TABLE, errors_of
from geocore.report.snapshot import Snapshot
from tests.report.panels.scenes import LAYERS, error_table, parquet, snapshot

FLOAT = ("quarter_turn", "float32")


def measured(**changes: Any) -> Snapshot:
    return snapshot(tables={TABLE: error_table()}, **changes)


def test_means_largest_and_floors_by_layer_and_group() -> None:
    errors = errors_of(measured())
    assert errors.layers == LAYERS and errors.ordered and errors.answer == "logits"
    turns = errors.stats[FLOAT]
    assert turns["stage"].mean == pytest.approx(1.5e-4)
    assert turns["stage"].largest == pytest.approx(2e-4)
    assert turns["stage"].floor is None
    assert errors.stats["so3", "float32"]["logits"].floor == pytest.approx(1.5e-2)


def test_elements_have_their_angles_and_means() -> None:
    one, other = errors_of(measured()).elements[FLOAT]
    assert (one.number, one.angle, other.number, other.angle) == (1, 90.0, 3, 270.0)
    assert other.means["logits"] == pytest.approx(3e-4)
    (rotation,) = errors_of(measured()).elements["so3", "float32"]
    assert rotation.angle is None


def test_the_runs_own_nside_and_columns_that_say_more() -> None:
    here = errors_of(measured(params={"resample.nside": 16, "resample.grid": "healpix"}))
    assert here.nsides[FLOAT][16].mean == pytest.approx(3e-4)
    assert errors_of(measured(params={"resample.nside": 16, "resample.grid": "x"})).nsides == {}
    told = snapshot(tables={TABLE: error_table(nside=32, dtype="float64")})
    assert errors_of(told).nsides["z", "float64"][32].mean == pytest.approx(3e-3)


def test_holes_are_left_out() -> None:
    columns: dict[str, list[Any]] = {
        "layer": ["a", "a", None], "group": ["z"] * 3, "error": [float("nan"), 0.5, 1.0]
    }  # fmt: skip
    stats = errors_of(snapshot(tables={TABLE: parquet(columns)})).stats["z", "float32"]
    assert list(stats) == ["a"] and stats["a"].mean == stats["a"].largest == 0.5


def test_the_answer_is_the_logits_or_the_last_layer() -> None:
    for layers, answer in ((["a", "logits", "pixels"], "logits"), (["a", "b"], "b")):
        columns: dict[str, list[Any]] = {
            "layer": layers,
            "group": ["z"] * len(layers),
            "error": [0.5] * len(layers),
        }
        assert errors_of(snapshot(tables={TABLE: parquet(columns)})).answer == answer
    assert errors_of(snapshot()).answer == ""


def test_numbers_beyond_all_measure_are_passed_over() -> None:
    metrics = {"evaluate.equivariance.z.logits.mean": float(10**301)}
    assert errors_of(snapshot(metrics=metrics)).stats == {}
