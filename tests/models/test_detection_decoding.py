"""Each thing is told once, by its likeliest pixel."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from geocore.models.detection import Predictions
from geocore.models.detection_decoding import decode, turned_boxes, unsuppressed


def greedy(overlapping: Tensor) -> list[bool]:
    kept: list[bool] = []
    for i in range(len(overlapping)):
        kept.append(not any(kept[j] and bool(overlapping[i, j]) for j in range(i)))
    return kept


@pytest.mark.parametrize("share", [0.02, 0.1, 0.4])
def test_suppression_is_the_greedy_one(share: float) -> None:
    generator = torch.Generator().manual_seed(0)
    for size in (0, 1, 30, 60):
        some = torch.rand(size, size, generator=generator) < share
        overlapping = some | some.T
        assert unsuppressed(overlapping).tolist() == greedy(overlapping)


def told(kind: str) -> Predictions:
    """Pixel (1, 2) of 5 x 5 says: class 2, centre 1 to the left and 1 up, 4 wide and 2 high."""
    shape = (1, 5, 5)
    objectness = torch.full(shape, -9.0)
    objectness[0, 1, 2], objectness[0, 1, 1] = 9.0, 8.0
    classes = torch.zeros(1, 3, 5, 5)
    classes[:, 1] = 9.0
    offset = torch.zeros(1, 2, 5, 5)
    offset[0, :, 1, 2] = torch.tensor([-1.0, 1.0])
    offset[0, :, 1, 1] = torch.tensor([0.0, 1.5])
    size = torch.full(shape, 8.0).log() / 2
    stretch = torch.full(shape, 2.0).log() / 2
    return Predictions(objectness, classes, offset, size, stretch if kind == "box" else None)


def test_a_box_lies_where_its_pixel_says() -> None:
    (found,) = decode(told("box"), 1, (5, 5))
    assert found.label.tolist() == [2]  # the second pixel says nearly the same
    assert float(found.score) == pytest.approx(1, abs=1e-3)
    assert found.box[0].tolist() == pytest.approx([0.5 - 1, 1.5 - 2, 0.5 + 1, 1.5 + 2], abs=1e-5)
    (both,) = decode(told("box"), 1, (5, 5), overlap=0.9)
    assert len(both.label) == 2 and bool(both.score[0] > both.score[1])
    (wide,) = decode(told("box"), 2, (10, 10))  # pixels 2 apart: the place is (-0, 2) + (-1, 1)
    assert wide.box[0].tolist() == pytest.approx([2 - 1, 4 - 2, 2 + 1, 4 + 2], abs=1e-5)


def test_a_mask_is_a_square_about_its_centre() -> None:
    (found,) = decode(told("mask"), 1, (5, 5))
    half = 8**0.5 / 2
    expected = [0.5 - half, 1.5 - half, 0.5 + half, 1.5 + half]
    assert found.box[0].tolist() == pytest.approx(expected, abs=1e-5)
    assert len(found.label) == 1


def test_classes_do_not_suppress_each_other() -> None:
    found = told("box")
    found.classes[0, :, 1, 1] = torch.tensor([9.0, 0.0, 0.0])
    (both,) = decode(found, 1, (5, 5))
    assert both.label.tolist() == [2, 1]


def test_turns_of_boxes() -> None:
    box = torch.tensor([[1, 2, 4, 7]])
    assert turned_boxes(box, 0, False, 10).tolist() == [[1, 2, 4, 7]]
    assert turned_boxes(box, 1, False, 10).tolist() == [[3, 1, 8, 4]]
    assert turned_boxes(box, 0, True, 10).tolist() == [[1, 3, 4, 8]]
    image = torch.zeros(10, 10)
    image[1:4, 2:7] = 1
    top, left, bottom, right = turned_boxes(box, 3, True, 10)[0].tolist()
    turned = image.flip(-1).rot90(3, (-2, -1))
    assert float(turned[top:bottom, left:right].sum()) == float(image.sum()) == 15


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="threshold is 2; expected 0 to 1"):
        decode(told("box"), 1, (5, 5), threshold=2)
