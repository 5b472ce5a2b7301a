"""Intersection over union: pixel sets compared by brute force, cases counted by hand, streams."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from geocore.measure.segmentation import (
    IGNORED,
    PixelCounts,
    class_iou,
    mean_iou,
    pixel_accuracy,
    pixel_confusion,
)

CLASSES = 5


def masks(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Predictions of all classes but 4, labels of all but 4 with some ignored, and validity."""
    generator = torch.Generator().manual_seed(seed)
    predicted = torch.randint(CLASSES - 1, (3, 40), generator=generator, dtype=torch.uint8)
    labels = torch.randint(CLASSES - 1, (3, 40), generator=generator, dtype=torch.uint8)
    labels[torch.rand(labels.shape, generator=generator) < 0.2] = IGNORED
    return predicted, labels, torch.rand(labels.shape, generator=generator) < 0.7


def iou_of_sets(predicted: Tensor, labels: Tensor, valid: Tensor) -> list[float]:
    """The quotient of the two sets of pixels, written down."""
    pixels = [
        (place, int(taken), int(actual))
        for place, (taken, actual, known) in enumerate(
            zip(predicted.flatten(), labels.flatten(), valid.flatten(), strict=True)
        )
        if bool(known) and int(actual) != IGNORED
    ]
    found = []
    for number in range(CLASSES):
        taken = {place for place, mine, _ in pixels if mine == number}
        actual = {place for place, _, mine in pixels if mine == number}
        union = taken | actual
        found.append(len(taken & actual) / len(union) if union else math.nan)
    return found


def test_iou_is_that_of_the_sets_of_pixels() -> None:
    predicted, labels, valid = masks()
    found = class_iou(pixel_confusion(predicted, labels, CLASSES, valid))
    expected = iou_of_sets(predicted, labels, valid)
    assert found.tolist() == pytest.approx(expected, abs=1e-15, nan_ok=True)
    assert math.isnan(found[4]), "neither labelled nor predicted"
    there = [value for value in expected if not math.isnan(value)]
    matrix = pixel_confusion(predicted, labels, CLASSES, valid)
    assert mean_iou(matrix) == pytest.approx(math.fsum(there) / 4, abs=1e-15)
    assert mean_iou(matrix, without=[0]) == pytest.approx(math.fsum(there[1:]) / 3, abs=1e-15)
    assert mean_iou(matrix, without=[0, 4]) == mean_iou(matrix, without=[0])


def test_a_matrix_counted_by_hand() -> None:
    # Class 0: TP 3, FP 2, FN 1. Class 1: TP 4, FP 1, FN 2. Class 2 is labelled never, taken never.
    matrix = torch.tensor([[3, 1, 0], [2, 4, 0], [0, 0, 0]])
    assert class_iou(matrix)[:2].tolist() == [3 / 6, 4 / 7]
    assert class_iou(matrix)[2].isnan()
    assert mean_iou(matrix) == (3 / 6 + 4 / 7) / 2
    assert mean_iou(matrix, without=[0]) == 4 / 7, "its pixels are still false positives of 1"
    assert pixel_accuracy(matrix) == 0.7


def test_a_class_that_only_one_side_has_counts_as_nothing_found() -> None:
    assert class_iou(torch.tensor([[5, 0], [0, 0]])).tolist() == pytest.approx(
        [1.0, math.nan], nan_ok=True
    )
    assert class_iou(torch.tensor([[5, 2], [0, 0]])).tolist() == [5 / 7, 0.0]
    assert class_iou(torch.tensor([[5, 0], [3, 0]])).tolist() == [5 / 8, 0.0]


@pytest.mark.parametrize("outside", ["invalid", "ignored"])
def test_what_lies_outside_the_image_changes_nothing(outside: str) -> None:
    predicted, labels, valid = masks()
    plain = pixel_confusion(predicted, labels, CLASSES, valid)
    elsewhere = ~valid if outside == "invalid" else labels == IGNORED
    assert elsewhere.any()
    for taken in (*range(CLASSES), 77, IGNORED):
        poisoned = predicted.clone()
        poisoned[elsewhere] = taken
        assert torch.equal(pixel_confusion(poisoned, labels, CLASSES, valid), plain)
    if outside == "invalid":
        poisoned = labels.clone()
        poisoned[elsewhere] = 200
        assert torch.equal(pixel_confusion(predicted, poisoned, CLASSES, valid), plain)
    # And a pixel more that counts is seen.
    wider = valid.clone()
    wider.view(-1)[int((~valid & (labels != IGNORED)).view(-1).nonzero()[0])] = True
    assert not torch.equal(pixel_confusion(predicted, labels, CLASSES, wider), plain)


def test_pieces_in_any_order_count_as_the_whole() -> None:
    predicted, labels, valid = masks()
    whole = pixel_confusion(predicted, labels, CLASSES, valid)
    counts = PixelCounts(CLASSES)
    for row in (2, 0, 1):
        own = counts.add(predicted[row], labels[row], valid[row])
        assert torch.equal(own, pixel_confusion(predicted[row], labels[row], CLASSES, valid[row]))
    assert torch.equal(counts.confusion, whole)
    assert torch.equal(counts.iou().nan_to_num(-1), class_iou(whole).nan_to_num(-1))
    assert counts.mean_iou([1]) == mean_iou(whole, [1])
    assert counts.accuracy() == pixel_accuracy(whole)


def test_nothing_counted_is_undefined() -> None:
    counts = PixelCounts(3)
    counts.add(torch.zeros(4, dtype=torch.int64), torch.full((4,), IGNORED))
    assert math.isnan(counts.mean_iou())
    assert math.isnan(counts.accuracy())


@pytest.mark.parametrize(
    ("predicted", "labels", "valid", "message"),
    [
        ([0, 1], [0], None, r"shapes \(2,\) and \(1,\); expected one shape"),
        ([0, 3], [0, 1], None, "predicted runs from 0 to 3; expected 0 to 2"),
        ([0, 1], [0, 9], None, "labels runs from 0 to 9; expected 0 to 2"),
        ([0, 1], [0, -1], None, "labels runs from -1 to 0; expected 0 to 2"),
        ([0, 1], [0, 1], [1, 0], r"valid is torch.int64 of shape \(2,\); expected torch.bool"),
    ],
)
def test_what_it_refuses(
    predicted: list[int], labels: list[int], valid: list[int] | None, message: str
) -> None:
    mask = None if valid is None else torch.tensor(valid)
    with pytest.raises(ValueError, match=message):
        pixel_confusion(torch.tensor(predicted), torch.tensor(labels), 3, mask)


def test_a_class_to_leave_out_must_be_there() -> None:
    with pytest.raises(ValueError, match="without names class 3; expected 0 to 2"):
        mean_iou(torch.eye(3), without=[3])
