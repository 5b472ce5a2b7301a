"""Overlaps are areas, and the average precision is that of the textbook's cases."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from geocore.measure.detection import average_precision, box_iou, mean_average_precision


def test_overlaps_are_those_of_counted_pixels() -> None:
    generator = torch.Generator().manual_seed(0)
    corner, side = (torch.randint(0, 9, (12, 2), generator=generator) for _ in range(2))
    boxes = torch.cat([corner, corner + side], dim=1)
    pixels = torch.zeros(12, 20, 20, dtype=torch.bool)
    for drawn, (top, left, bottom, right) in zip(pixels, boxes.tolist(), strict=True):
        drawn[top:bottom, left:right] = True
    shared = (pixels[:, None] & pixels[None]).sum(dim=(2, 3))
    joined = (pixels[:, None] | pixels[None]).sum(dim=(2, 3))
    expected = torch.where(joined > 0, shared / joined.clamp_min(1), 0.0).double()
    torch.testing.assert_close(box_iou(boxes, boxes), expected, atol=1e-7, rtol=0)
    assert box_iou(boxes[:0], boxes).shape == (0, 12)
    assert box_iou(boxes.float(), boxes.float()).dtype == torch.float32


def boxes(*tops: float) -> Tensor:
    """Squares of 10 beside each other, each some rows too low."""
    return torch.tensor([[top, 20.0 * n, top + 10, 20.0 * n + 10] for n, top in enumerate(tops)])


def test_precision_over_recall() -> None:
    truth = [(torch.tensor([1, 1, 2]), boxes(0, 0, 0))]
    labels, score = torch.tensor([1, 1, 1, 2]), torch.tensor([0.9, 0.8, 0.7, 0.6])
    # The first is right, the second (the same box again) and so wrong, the third right.
    there = boxes(0, 0, 0)[[0, 0, 1, 2]]
    found = [(labels, score, there)]
    assert average_precision(found, truth, 1) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(found, truth, 2) == 1
    assert average_precision(found, truth, 3) is None
    assert mean_average_precision(found, truth) == pytest.approx((1 + (1 + 2 / 3) / 2) / 2)
    # What lies 4 rows beside overlaps by 6 / 14.
    beside = [(labels[:1], score[:1], boxes(4)[:1])]
    assert average_precision(beside, truth, 1, overlap=0.43) == 0
    assert average_precision(beside, truth, 1, overlap=0.42) == 0.5


def test_detections_of_all_images_are_sorted_together() -> None:
    one = torch.tensor([1])
    truth = [(one, boxes(0)), (one, boxes(0))]
    wrong = (one, torch.tensor([0.9]), boxes(50))
    right = (one, torch.tensor([0.5]), boxes(0))
    assert average_precision([wrong, right], truth, 1) == pytest.approx(0.25)
    nothing = (one[:0], torch.zeros(0), torch.zeros(0, 4))
    assert average_precision([nothing, nothing], truth, 1) == 0
    assert average_precision([right, right], truth, 1) == 1
    assert mean_average_precision([nothing], [(one[:0], torch.zeros(0, 4))]) is None


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"two has shape \(4,\); expected \(n, 4\)"):
        box_iou(torch.zeros(1, 4), torch.zeros(4))
    with pytest.raises(ValueError, match="found has 0 images; expected 1 as truth has"):
        average_precision([], [(torch.zeros(0), torch.zeros(0, 4))], 1)
