"""The stage ``laws``: what is written, that it is made again, that a broken law fails by name."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from geocore.errors import GateError
from geocore.pipeline import law_measuring
from geocore.pipeline.constructions import Case, Construction
from geocore.pipeline.laws import STAGE
from geocore.pipeline.run import make, whole
from tests.pipeline.law_jobs import FEW, few, job


def test_errors_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(law_measuring, "constructions", few)
    here = job(tmp_path, STAGE)
    assert not whole(here)
    manifest = make(here)
    assert whole(here) and manifest["constructions"] == 3
    STAGE.write(here, manifest)
    folder = tmp_path / "studies/mine/results/laws"
    metrics = json.loads((folder / "metrics.json").read_text())
    each = metrics["constructions"]
    assert set(each) == set(FEW)
    assert metrics["worst"]["double"] == max(one.get("double", 0) for one in each.values()) < 1e-10
    assert set(each[FEW[2]]) == {"sampled", "sampled_single"}
    with (folder / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["construction"] for row in rows] == list(FEW)
    columns = {
        "error_float64": "double",
        "error_float32": "single",
        "error_sampled": "sampled",
        "error_sampled_float32": "sampled_single",
    }
    for row in rows:
        told = each[row["construction"]]
        for column, kind in columns.items():
            assert (float(row[column]) if row[column] else None) == told.get(kind)
    assert (folder / "digits.png").read_bytes().startswith(b"\x89PNG")
    again = (folder / "table.csv").read_bytes()
    (folder / "table.csv").write_text("altered")
    assert not whole(here)
    make(here)
    assert (folder / "table.csv").read_bytes() == again


def with_error(error: float) -> Callable[[], tuple[Construction, ...]]:
    """The few, the second of which is off by ``error``."""

    def rows() -> tuple[Construction, ...]:
        first, second, third = few()

        def build(*args: object) -> Case:
            return dataclasses.replace(second.build(*args), exact=lambda: error)  # type: ignore[arg-type]

        return first, dataclasses.replace(second, build=build), third

    return rows


@pytest.mark.parametrize(
    ("error", "lines", "figure"),
    [
        (1.1e-11, ["error_float64 is 1.1e-11; expected at most 1e-11 (laws.error_max)"], 1.1e-11),
        (
            math.nan,
            [f"error_float{n} is nan; expected a finite number" for n in (64, 32)],
            None,
        ),
    ],
)
def test_a_broken_law_fails_when_all_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: float,
    lines: list[str],
    figure: float | None,
) -> None:
    monkeypatch.setattr(law_measuring, "constructions", with_error(error))
    here = job(tmp_path, STAGE)
    manifest = make(here)
    folder = tmp_path / "studies/mine/results/laws"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["constructions"][FEW[1]]["double"] == figure
    assert metrics["worst"]["double"] == figure
    assert whole(here), "asked again it fails at once, without measuring"
    with pytest.raises(GateError) as told:
        STAGE.write(here, manifest)
    assert told.value.lines == tuple(f"laws: {FEW[1]}: {line}" for line in lines)


def test_a_wider_bound_lets_it_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(law_measuring, "constructions", with_error(1.1e-11))
    here = job(tmp_path, STAGE, error_max=1.2e-11)
    STAGE.write(here, make(here))
