"""The stage ``detect``: turned things lie on turned images, and the equivariant one finds them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from geocore.config.detect import DetectParams
from geocore.measure.detection import mean_average_precision
from geocore.models.detection_targets import Items
from geocore.pipeline import detect_learning
from geocore.pipeline.detect import STAGE
from geocore.pipeline.detect_learning import (
    Canvases,
    canvases,
    digits_on_canvases,
    learners,
    precision,
    train,
    turned,
)
from geocore.pipeline.run import make, whole
from geocore.pipeline.stage import Job
from tests.pipeline.stages import study_job

Found = tuple[Tensor, Tensor, Tensor]
PARAMS = DetectParams(
    canvases=(6, 4), side=18, items=(1, 2), held_out=0.3, channels=2, steps=2, batch_size=4,
    lr=0.01, seed=1,
)  # fmt: skip


def drawn(kind: str, split: str = "train", params: DetectParams = PARAMS) -> Canvases:
    return canvases(digits_on_canvases(params), split, kind)


def job(root: Path) -> Job:
    return study_job(STAGE, root, PARAMS)


def inside(image: Tensor, items: Items) -> float:
    """The share of an image's light that lies in the boxes of its things."""
    lit = torch.zeros_like(image)
    for top, left, bottom, right in items.box.long().tolist():
        lit[top:bottom, left:right] = image[top:bottom, left:right]
    return float(lit.sum() / image.sum())


@pytest.mark.parametrize("kind", ["box", "mask"])
def test_things_lie_where_their_turned_images_have_them(kind: str) -> None:
    plain = drawn(kind)
    for quarter in range(4):
        view = turned(plain, quarter)
        for image, one, before in zip(view.images, view.things, plain.things, strict=True):
            assert inside(image[0], one) > 0.9
            height, width = (one.box[:, 2:] - one.box[:, :2]).T
            assert torch.equal(one.extent, torch.stack([width, height], dim=1))
            assert torch.equal(one.size, before.size) and torch.equal(one.label, before.label)
            # Boxes are about their centres, masks near them.
            middle = (one.box[:, :2] + one.box[:, 2:]) / 2 - PARAMS.side / 2
            off = (one.centre - torch.stack([middle[:, 1], -middle[:, 0]], dim=1)).abs().max()
            assert off < (1e-12 if kind == "box" else 1.5)
    assert all(
        torch.equal(a.centre, b.centre)
        for a, b in zip(turned(turned(plain, 3), 1).things, plain.things, strict=True)
    )


def test_no_digit_is_on_canvases_of_two_splits() -> None:
    digits = digits_on_canvases(PARAMS)
    shown, asked = (drawn("box", split) for split in ("train", "test"))
    assert len(shown.images) == 6 and len(asked.images) == 4
    pools = [set(pool.tolist()) for pool in digits._pools]
    assert not pools[0] & pools[2] and len(pools[0]) + len(pools[2]) == 1797


@pytest.mark.parametrize("kind", ["box", "mask"])
def test_what_is_right_has_precision_one(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector that is told the truth: what is compared is what is meant."""
    asked = turned(drawn(kind, "test"), 1)
    truth: list[tuple[Tensor, Tensor]] = []

    def spy(found: list[Found], told: list[tuple[Tensor, Tensor]]) -> float | None:
        truth[:] = told
        return mean_average_precision(found, told)

    monkeypatch.setattr(detect_learning, "mean_average_precision", spy)
    plain = learners(kind, 10, PARAMS)["plain"]
    assert 0 <= precision(plain.detector, asked) < 0.5
    found = [(label, torch.ones(len(label)), box) for label, box in truth]
    assert mean_average_precision(found, truth) == 1
    for (_, box), one in zip(truth, asked.things, strict=True):
        sides = (box[:, 2:] - box[:, :2]).flip(1)
        expected = one.extent if kind == "box" else one.size[:, None].expand(-1, 2)
        torch.testing.assert_close(sides, expected)


def test_learners_are_alike_but_for_what_is_compared() -> None:
    found = learners("box", 10, PARAMS)
    assert [(name, one.augmented) for name, one in found.items()] == [
        ("plain", False), ("plain, turned", True), ("C4", False)
    ]  # fmt: skip
    plain, other = (found[name].detector.state_dict() for name in ("plain", "plain, turned"))
    assert all(torch.equal(plain[key], other[key]) for key in plain)
    shown = drawn("box")
    for learner in found.values():
        train(learner, shown, PARAMS)
    plain, other = (found[name].detector.state_dict() for name in ("plain", "plain, turned"))
    assert not torch.equal(plain["head.weight"], other["head.weight"]), "it saw turned canvases"
    again = learners("box", 10, PARAMS)["plain"]
    train(again, shown, PARAMS)
    state = again.detector.state_dict()
    assert all(torch.equal(plain[key], state[key]) for key in plain), "the seed decides"


def test_it_learns_upright_and_finds_turned() -> None:
    """Three canvases by heart: the equivariant detector has learned all four views of them."""
    params = PARAMS.model_copy(
        update={"canvases": (3, 1), "channels": 6, "steps": 250, "batch_size": 3}
    )
    shown = drawn("mask", params=params)
    found = {}
    for name, learner in learners("mask", 10, params).items():
        if not learner.augmented:
            train(learner, shown, params)
            found[name] = [precision(learner.detector, turned(shown, q)) for q in range(4)]
    assert min(found["C4"]) == pytest.approx(max(found["C4"])) and found["C4"][0] > 0.6
    assert found["plain"][1] < found["plain"][0] / 2


def test_figures_are_written(tmp_path: Path) -> None:
    here = job(tmp_path)
    make(here)
    assert whole(here)
    folder = tmp_path / "studies/mine/results/detect"
    metrics = json.loads((folder / "metrics.json").read_text())
    with (folder / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["told"], row["detector"]) for row in rows] == [
        (kind, name) for kind in ("box", "mask") for name in ("plain", "plain, turned", "C4")
    ]
    for row in rows:
        told = metrics[row["told"]][row["detector"]]
        assert {key: float(row[key]) for key in told} == told
        assert told["parameters"] > 100 and 0 <= told["turned_90"] <= 1
    (folder / "table.csv").write_text("altered")
    assert not whole(here)
