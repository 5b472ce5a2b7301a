"""Scores of labelled pixels against all pixels written out, streamed sample by sample."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from geocore.measure.calibration import calibration_error
from geocore.measure.segmentation import IGNORED, class_iou, pixel_confusion
from geocore.measure.selective import accuracy_of_kept
from geocore.pipeline.segmentation_scores import SegmentationScores, labelled

CLASSES = ("sky", "ground", "pillar", "void")


def pixels(seed: int, count: int = 300) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(count, len(CLASSES), generator=generator)
    targets = torch.randint(3, (count,), generator=generator, dtype=torch.uint8)
    targets[torch.rand(count, generator=generator) < 0.2] = IGNORED
    return logits, targets, torch.rand(count, generator=generator) < 0.8


def test_all_scores_are_those_of_all_pixels_at_once() -> None:
    scores = SegmentationScores(CLASSES, [3], bins=7)
    samples = [pixels(seed) for seed in range(3)]
    own = [scores.add(labelled(*sample)) for sample in samples]
    logits, targets, known = (torch.cat(parts) for parts in zip(*samples, strict=True))
    counted = (targets != IGNORED) & known
    logits, labels = logits[counted].double(), targets[counted].long()
    p = logits.softmax(dim=1)
    confidence, predicted = p.max(dim=1)
    iou = class_iou(pixel_confusion(predicted, labels, 4))
    found = scores.summary()
    assert found["n"] == len(labels)
    assert found["coverage"] == len(labels) / int((targets != IGNORED).sum())
    assert list(found["iou"]) == list(CLASSES)
    assert list(found["iou"].values()) == pytest.approx(iou.tolist(), abs=1e-15)
    assert found["miou"] == pytest.approx(float(iou.mean()), abs=1e-15)
    assert found["miou_without"] == pytest.approx(float(iou[:3].mean()), abs=1e-15)
    assert found["accuracy"] == pytest.approx(float((predicted == labels).double().mean()))
    nll = -p.gather(1, labels[:, None]).log().mean()
    assert found["nll"] == pytest.approx(float(nll), abs=1e-12)
    expected = calibration_error(confidence, predicted == labels, 7)
    assert found["ece"] == pytest.approx(expected, abs=1e-12)
    assert found["miou_of_samples"] == pytest.approx(
        sum(float(row["miou"] or 0) for row in own) / 3
    )
    shares = torch.tensor([0.5, 0.75, 1.0])
    entropy = -(p * p.log()).sum(dim=1)
    curve = accuracy_of_kept(entropy, predicted == labels, shares)
    # 4096 bins of entropy: ties that are none move a pixel or two.
    assert scores.kept(shares)["accuracy"] == pytest.approx(curve.tolist(), abs=5e-3)


def test_a_sample_has_scores_of_its_own() -> None:
    scores = SegmentationScores(CLASSES, [], bins=5)
    scores.add(labelled(*pixels(0)))
    alone = SegmentationScores(CLASSES, [], bins=5)
    own = scores.add(labelled(*pixels(1)))
    assert own == alone.add(labelled(*pixels(1)))
    summary = alone.summary()
    assert own["n"] == summary["n"]
    for name in ("miou", "accuracy", "nll"):
        assert own[name] == pytest.approx(summary[name])


@pytest.mark.parametrize("poison", [math.nan, math.inf, 1e30])
def test_what_is_not_known_or_not_labelled_is_not_looked_at(poison: float) -> None:
    logits, targets, known = pixels(2)
    plain, poisoned = SegmentationScores(CLASSES, [], 5), SegmentationScores(CLASSES, [], 5)
    plain.add(labelled(logits, targets, known))
    outside = ~known | (targets == IGNORED)
    assert outside.any()
    wrong = torch.where(outside[:, None], poison, logits)
    poisoned.add(labelled(wrong, torch.where(known, targets, 2), known))
    mine, other = plain.summary(), poisoned.summary()
    del mine["coverage"], other["coverage"]  # the labels that are made up are labels
    assert mine == other


def test_a_sample_without_labels_changes_nothing() -> None:
    scores = SegmentationScores(CLASSES, [], 5)
    logits, targets, known = pixels(3)
    own = scores.add(labelled(logits, torch.full_like(targets, IGNORED), known))
    assert own == {"miou": None, "miou_without": None, "accuracy": None, "nll": None, "n": 0}
    empty = scores.summary()
    assert empty["miou"] is None
    assert empty["ece"] is None
    assert empty["miou_of_samples"] is None
    scores.add(labelled(logits, targets, known))
    assert scores.summary()["miou_of_samples"] == scores.summary()["miou"]


def test_iou_is_by_area() -> None:
    logits, targets, known = pixels(2)
    areas = torch.arange(len(targets)) + 1
    scores = SegmentationScores(CLASSES, [], 5)
    own = scores.add(labelled(logits, targets, known, areas))
    counted = (targets != IGNORED) & known
    # An area is so many pixels alike.
    often = areas[counted]
    predicted, labels = (
        values.repeat_interleave(often)
        for values in (logits[counted].argmax(dim=1), targets[counted].long())
    )
    confusion = pixel_confusion(predicted, labels, 4)
    found = scores.summary()
    assert list(found["iou"].values()) == class_iou(confusion).nan_to_num(0).tolist()
    assert found["accuracy"] == own["accuracy"]
    assert found["accuracy"] == float((predicted == labels).double().mean())
    assert found["n"] == own["n"] == int(counted.sum()), "which still counts pixels"
    alike = SegmentationScores(CLASSES, [], 5)
    alike.add(labelled(logits, targets, known, torch.full_like(areas, 7)))
    plain = SegmentationScores(CLASSES, [], 5)
    plain.add(labelled(logits, targets, known))
    assert alike.summary() == plain.summary()
