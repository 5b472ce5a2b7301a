"""The stage ``lyapunov``: what is written, parts found again, bounds that are told by name."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from geocore.ensembles.engine import Samples
from geocore.errors import GateError, UserError
from geocore.explain.circle import circle_samples
from geocore.pipeline import (
    lyapunov_images,
    lyapunov_measuring,
    lyapunov_parts,
    lyapunov_training,
)
from geocore.pipeline.lyapunov import STAGE
from geocore.pipeline.run import make, whole
from geocore.pipeline.stage import Job
from geocore.runs.slots import Slots
from tests.pipeline.lyapunov_jobs import params
from tests.pipeline.stages import study_job


def job(root: Path, task: str, **changes: Any) -> Job:
    return study_job(STAGE, root, params(task, **changes))


def read(root: Path) -> tuple[dict[str, Any], list[dict[str, str]], set[str]]:
    folder = root / "studies/mine/results/lyapunov"
    with (folder / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    metrics = json.loads((folder / "metrics.json").read_text())
    return metrics, rows, {path.stem for path in (folder / "pictures").iterdir()}


def test_figures_of_the_circle(tmp_path: Path) -> None:
    here = job(tmp_path, "circle")
    manifest = make(here)
    assert whole(here)
    metrics, rows, pictures = read(tmp_path)
    assert pictures == {"fields", "ridges", "depth", "width"}
    assert len(rows) == 2 * 2 * 2
    judged = [row for row in rows if (row["depth"], row["width"]) == ("2", "4")]
    mean = sum(float(row["contrast"]) for row in judged) / 2
    assert metrics["judged"]["contrast"] == pytest.approx(mean, rel=1e-3)
    assert metrics["judged"]["depth"] == 2 and metrics["judged"]["width"] == 4
    for row in rows:
        parts = float(row["ridge"]) - float(row["centre"])
        assert float(row["contrast"]) == pytest.approx(parts, abs=2e-3)
    told = metrics["networks"]
    rise = told["2"]["6"]["contrast"]["mean"] - told["1"]["6"]["contrast"]["mean"]
    assert metrics["rise"]["6"] == pytest.approx(rise, abs=2e-3)
    assert set(metrics["linear"]) == {"2", "3"}
    # So little learning makes no ridge that falls with width: chance decides.
    assert all("expected less than" in line for line in manifest["broken"])


def test_figures_of_images(tmp_path: Path) -> None:
    here = job(tmp_path, "images")
    manifest = make(here)
    assert whole(here)
    metrics, rows, pictures = read(tmp_path)
    assert pictures == {"exponent", "plane", "section", "uncertainty"}
    assert len(rows) == 2 * 4
    totals = [float(row["total"]) for row in rows if row["ensemble"] == "0"]
    assert totals == sorted(totals)
    # Groups are equally large: the mean over them is that over images.
    wrong = sum(float(row["wrong"]) for row in rows) / len(rows)
    assert 1 - metrics["accuracy"]["member"]["mean"] == pytest.approx(wrong, abs=1e-3)
    assert set(metrics["rank_correlation"]) == {"wrong", "entropy", "mutual_information"}
    assert len(manifest["parts"]) == 2 * 3 + 1
    again = (tmp_path / "studies/mine/results/lyapunov/table.csv").read_bytes()
    (tmp_path / "studies/mine/results/lyapunov/table.csv").write_text("altered")
    assert not whole(here)
    make(here)
    assert (tmp_path / "studies/mine/results/lyapunov/table.csv").read_bytes() == again


def test_a_killed_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[tuple[int, ...]] = []
    fit = lyapunov_training.fit
    survived = False

    def counted(folder: Path, recipe: Any, *given: Any, **more: Any) -> None:
        if len(trained) == 2 and not survived:
            raise KeyboardInterrupt
        trained.append(recipe.widths)
        fit(folder, recipe, *given, **more)

    monkeypatch.setattr(lyapunov_parts, "fit", counted)
    with pytest.raises(KeyboardInterrupt):
        make(job(tmp_path, "circle"))
    assert trained == [(2, 4, 1), (2, 4, 4, 1)]
    survived = True
    make(job(tmp_path, "circle"))
    assert trained[2:] == [(2, 6, 1), (2, 6, 6, 1)]
    table = (tmp_path / "studies/mine/results/lyapunov/table.csv").read_bytes()
    make(job(tmp_path / "other", "circle"))
    assert (tmp_path / "other/studies/mine/results/lyapunov/table.csv").read_bytes() == table
    del trained[:]
    STAGE.make(job(tmp_path, "circle", size=31))  # another grid for the same networks
    assert trained == []


def test_a_training_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    steps: list[int] = []
    recipe = lyapunov_training.Recipe((2, 4, 1), "numbers", 2, 20, 0.05, (5, 6))
    samples = Samples(*circle_samples(80, 0))
    folders = [tmp_path / name for name in ("whole", "killed")]
    for folder in folders:
        folder.mkdir()
    cpu = torch.device("cpu")
    lyapunov_training.fit(folders[0], recipe, samples, cpu)
    slots = Slots(job(tmp_path, "circle").store, "key")

    def stop(step: int) -> None:
        if step == 6:
            raise KeyboardInterrupt

    more: dict[str, Any] = {"slots": slots, "checkpoint_every": 5}
    with pytest.raises(KeyboardInterrupt):
        lyapunov_training.fit(folders[1], recipe, samples, cpu, tell=stop, **more)
    lyapunov_training.fit(folders[1], recipe, samples, cpu, tell=steps.append, **more)
    assert steps == [6, 7, 8]
    expected, found = (lyapunov_training.weights_of(folder) for folder in folders)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_bounds_fail_when_all_is_written(tmp_path: Path) -> None:
    strict = {"contrast_min": 50.0, "alignment_min": 1.0, "auc_min": 1.0, "linear_errors_max": 1e-9}
    here = job(tmp_path, "circle", widths=[4], **strict)
    manifest = make(here)
    metrics, _, _ = read(tmp_path)
    assert whole(here)
    with pytest.raises(GateError) as told:
        STAGE.write(here, manifest)
    contrast = metrics["judged"]["contrast"]
    assert told.value.lines[0] == (
        f"lyapunov: contrast of 2 layers of 4 is {contrast:.4g}; expected at least 50 "
        "(lyapunov.contrast_min)"
    )
    names = [line.split("(")[-1] for line in told.value.lines]
    assert names == [
        "lyapunov.contrast_min)", "lyapunov.alignment_min)", "lyapunov.auc_min)",
        "lyapunov.linear_errors_max)", "lyapunov.linear_errors_max)",
    ]  # fmt: skip


def test_a_correlation_that_is_not_above_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def turned(*given: Any) -> dict[str, Tensor]:
        found = lyapunov_images.answers(*given)
        return found | {"total": found["probabilities"].amax(dim=-1)}

    monkeypatch.setattr(lyapunov_measuring, "answers", turned)  # the surest have the largest
    manifest = make(job(tmp_path, "images", epochs=12, rise_errors_min=1.0))
    lines = manifest["broken"]
    assert [line.split(" with the exponent")[0] for line in lines] == [
        "lyapunov: the rank correlation of wrong", "lyapunov: the rank correlation of entropy"
    ]  # fmt: skip
    assert lines[0].endswith("expected at least 1 (lyapunov.rise_errors_min)")


def test_too_few_images(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^lyapunov\.test is 60, and 7 images of digits are left"):
        make(job(tmp_path, "images", train=1790))
