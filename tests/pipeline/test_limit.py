"""The stage ``limit``: what each task writes, parts that are found again, broken laws by name."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from geocore.errors import GateError, UserError
from geocore.pipeline import kernel_blocks, limit_ensemble, limit_width
from geocore.pipeline.limit import STAGE
from geocore.pipeline.limit_members import trained_answers
from geocore.pipeline.limit_twins import drawn_kernels
from geocore.pipeline.run import make, whole
from tests.pipeline.limit_jobs import job

FOLDER = "studies/mine/results/limit"


@pytest.fixture(autouse=True)
def _no_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little is tried of kernels that cost nothing, to say what they will."""
    monkeypatch.setattr(kernel_blocks, "_PROBE", 1e-4)


def metrics(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / FOLDER / "metrics.json").read_text())
    return found


def table(root: Path) -> list[dict[str, str]]:
    with (root / FOLDER / "table.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("task", "pictures"),
    [
        ("accuracy", {"accuracy", "accuracy_nngp"}),
        ("sphere", {"accuracy"}),
        ("width", {"width"}),
        ("theorem", {"dense", "convolutional"}),
        ("ensemble", {"members", "steps", "limit"}),
    ],
)
def test_all_is_written_and_equal_again(tmp_path: Path, task: str, pictures: set[str]) -> None:
    here = job(tmp_path, task)
    assert not whole(here)
    manifest = make(here)
    assert whole(here) and manifest["broken"] == [] and manifest["parts"]
    STAGE.write(here, manifest)
    folder = tmp_path / FOLDER
    assert {path.stem for path in (folder / "pictures").iterdir()} == pictures
    assert metrics(tmp_path) and table(tmp_path)
    first = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    make(job(tmp_path / "other", task))
    other = tmp_path / "other" / FOLDER
    assert {p.name: p.read_bytes() for p in other.rglob("*") if p.is_file()} == first


def test_lines_of_accuracy_are_those_of_the_table(tmp_path: Path) -> None:
    make(job(tmp_path, "accuracy"))
    told, rows = metrics(tmp_path), table(tmp_path)
    for kernel in ("ntk", "nngp"):
        # Quarter turns: what learns from whole orbits is the network over C4 (float64 kernels).
        assert told[kernel]["orbits_off_C4"] < 1e-8
        for line, by_size in told[kernel]["lines"].items():
            for size, found in by_size.items():
                [row] = [
                    row
                    for row in rows
                    if (row["kernel"], row["network"], row["samples"]) == (kernel, line, size)
                ]
                assert float(row["accuracy"]) == found["accuracy"]
        least = min(gain["mean"] for gain in told[kernel]["gain"].values())
        assert told[kernel]["least_gain"] == least
    assert {row["network"] for row in rows} == {"plain", "plain, whole orbits", "C4"}


def test_eighths_of_a_turn_have_both_groups_and_no_orbits(tmp_path: Path) -> None:
    make(job(tmp_path, "accuracy", order=8, pool=10, sizes=[4], test=6, dtype="float32"))
    assert {row["network"] for row in table(tmp_path)} == {"plain", "C4", "C8"}
    assert metrics(tmp_path)["group"] == "C8"


def test_another_choice_of_runs_computes_no_kernel_again(tmp_path: Path) -> None:
    make(job(tmp_path, "accuracy"))
    notes: dict[str, Any] = {}
    STAGE.make(job(tmp_path, "accuracy", notes, runs=2, ridge=1e-3))
    assert set(notes["pieces"].values()) == {"found"}


def test_a_killed_run_goes_on_with_the_next_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []

    def counted(network: Any, x: Any, width: int, draws: int, seed: int) -> Any:
        drawn.append(width)
        if len(drawn) == 3:
            raise KeyboardInterrupt
        return drawn_kernels(network, x, width, draws, seed)

    monkeypatch.setattr(limit_width, "drawn_kernels", counted)
    with pytest.raises(KeyboardInterrupt):
        make(job(tmp_path, "width"))
    make(job(tmp_path, "width"))
    assert drawn == [2, 8, 2, 2, 8, 2, 8]  # the third part was lost, and only that


def test_an_ensemble_grows_by_its_new_members(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[int] = []

    def counted(network: Any, width: int, seeds: Any, *rest: Any) -> Any:
        trained.append(len(seeds))
        return trained_answers(network, width, seeds, *rest)

    monkeypatch.setattr(limit_ensemble, "trained_answers", counted)
    STAGE.make(job(tmp_path, "ensemble", members=4))
    STAGE.make(job(tmp_path, "ensemble", members=7))
    assert trained == [4, 4, 3, 3]


@pytest.mark.parametrize(
    ("task", "changes", "told"),
    [
        ("ensemble", {"law_max": 1e-30}, "infinitely many members deviates by"),
        ("theorem", {"law_max": 1e-30}, "whole orbits is off the symmetrised predictor by"),
        ("sphere", {"gain_min": 1.0}, "symmetry gains"),
    ],
)
def test_a_broken_law_fails_when_all_is_written(
    tmp_path: Path, task: str, changes: dict[str, Any], told: str
) -> None:
    here = job(tmp_path, task, **changes)
    manifest = make(here)
    assert whole(here) and metrics(tmp_path)
    with pytest.raises(GateError) as error:
        STAGE.write(here, manifest)
    assert all(line.startswith("limit: ") for line in error.value.lines)
    assert told in error.value.lines[0] and "; expected at" in error.value.lines[0]


def test_too_few_images_are_told_by_this_section(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^limit\.train is 5000, and 1797 images of digits"):
        make(job(tmp_path, "accuracy", pool=5000))
