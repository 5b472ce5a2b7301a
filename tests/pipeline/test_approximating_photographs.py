"""The task ``cifar10``: what is asked, on photographs that are none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geocore.config.approximate import ApproximateParams, Cifar10Params
from geocore.data.sources.base import Images, Rows, Source, gathered
from geocore.pipeline import approximating_photographs
from geocore.pipeline.approximate import STAGE
from geocore.pipeline.approximating_photographs import photographs_task
from tests.pipeline.stages import study_job

PARAMS: dict[str, Any] = {
    "data": "cifar10", "families": ["none", "nonparametric"], "p": [0.1], "members": 2,
    "repeats": 1, "prior": "matching", "prior_scale": 1.0, "epochs": 1, "batch_size": 5,
    "lr": 0.01, "schedule": "constant", "seed": 0, "training": 10, "asked": 10, "depth": 8,
    "widths": [2, 2, 2],
}  # fmt: skip


class Invented(Source):
    name, classes, shape, digest = "invented", tuple("0123456789"), (32, 32, 3), "d"

    def __init__(self) -> None:
        self.labels = np.arange(30, dtype=np.int64) % 10
        self.splits = np.repeat(np.array((0, 2), np.uint8), (18, 12))
        self.pixels = np.random.default_rng(0).integers(0, 256, (30, 32, 32, 3), np.uint8)

    def images(self, rows: Rows, size: int) -> Iterator[Images]:
        return gathered([self.pixels[rows]], size)


@pytest.fixture(autouse=True)
def invented(monkeypatch: pytest.MonkeyPatch) -> Invented:
    source = Invented()
    monkeypatch.setattr(approximating_photographs, "open_cifar10", lambda *_: source)
    return source


def test_samples_are_the_first_and_asked_ones_are_test_images(invented: Invented) -> None:
    section = ApproximateParams.read(PARAMS)
    assert isinstance(section, Cifar10Params)
    task = photographs_task(section, Path())
    assert task.samples.targets.tolist() == list(range(10))
    first = torch.from_numpy(invented.pixels[0]).movedim(-1, 0).float() / 127.5 - 1
    torch.testing.assert_close(task.samples.inputs[0], first, atol=1e-6, rtol=0)
    test = torch.from_numpy(invented.pixels[18:28]).movedim(-1, 1).float() / 127.5 - 1
    torch.testing.assert_close(task.asked["test"], test, atol=1e-6, rtol=0)
    torch.testing.assert_close(task.asked["inverted"], -test, atol=1e-6, rtol=0)
    assert task.groups["blur_3"].labels is not None and not task.groups["blur_3"].outside
    assert len(task.asked) == 1 + 4 * 5 + 3


def test_shuffled_images_have_the_same_squares() -> None:
    section = ApproximateParams.read(PARAMS)
    assert isinstance(section, Cifar10Params)
    task = photographs_task(section, Path())
    plain, moved = task.asked["test"], task.asked["shuffled"]
    assert not torch.equal(plain, moved)
    for one, other in zip(plain, moved, strict=True):
        squares = [
            {
                x[:, i : i + 8, j : j + 8].numpy().tobytes()
                for i in range(0, 32, 8)
                for j in range(0, 32, 8)
            }
            for x in (one, other)
        ]
        assert squares[0] == squares[1] and len(squares[0]) == 16


def test_the_stage_tells_calibration_and_what_is_outside(tmp_path: Path) -> None:
    here = study_job(STAGE, tmp_path, ApproximateParams.read(PARAMS))
    here.stage.write(here, STAGE.make(here))
    folder = tmp_path / "studies/mine/results/approximate"
    metrics = json.loads((folder / "metrics.json").read_text())
    told = metrics["ensembles"]["nonparametric"]
    assert set(told["blur_1"]) >= {"accuracy", "nll", "ece", "brier"}
    assert "accuracy" not in told["noise"] and 0 <= told["noise"]["auroc_entropy"] <= 1
    assert {path.name for path in (folder / "pictures").iterdir()} == {
        "nll.png", "ece.png", "auroc_entropy.png"
    }  # fmt: skip
