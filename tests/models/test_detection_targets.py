"""Targets say where things are, and turn with them."""

from __future__ import annotations

import math

import pytest
import torch

from geocore.groups.finite import PlanarGroup
from geocore.groups.planar_action import moved
from geocore.models.detection_decoding import turned_boxes
from geocore.models.detection_targets import (
    Items,
    assign,
    items_from_boxes,
    items_from_masks,
    places,
)  # fmt: skip

LABEL = torch.tensor([3, 1, 0])
BOX = torch.tensor([[2, 1, 8, 5], [9, 10, 12, 14], [0, 0, 0, 0]])
SHAPE = (15, 15)


def test_boxes_and_their_centres() -> None:
    items = items_from_boxes(LABEL, BOX, SHAPE)
    assert items.label.tolist() == [3, 1]
    assert items.extent.tolist() == [[4, 6], [4, 3]]  # width, height
    assert items.centre.tolist() == [[3 - 7.5, 7.5 - 5], [12 - 7.5, 7.5 - 10.5]]
    assert items.size.tolist() == pytest.approx([math.sqrt(24), math.sqrt(12)])


def test_masks_and_their_sizes() -> None:
    """A filled square has the size of its side, whichever way it lies; a disc pi^.5 / 3^-.5 / 2."""
    mask = torch.zeros(2, 41, 41, dtype=torch.bool)
    mask[0, 3:10, 20:27] = True
    step = torch.arange(41) - 20
    mask[1] = step[:, None] ** 2 + step[None, :] ** 2 <= 15.5**2
    items = items_from_masks(torch.tensor([1, 2]), mask)
    assert float(items.size[0]) == pytest.approx(7, abs=1e-12)
    assert float(items.size[1]) == pytest.approx(15.5 * math.sqrt(3), rel=0.01)  # 6 r^2 / 2
    assert items.centre[0].tolist() == pytest.approx([23.5 - 20.5, 20.5 - 6.5])
    assert items.box[0].tolist() == [3, 20, 10, 27]
    diamond = torch.zeros(1, 41, 41, dtype=torch.bool)
    diamond[0] = step.abs()[:, None] + step.abs()[None, :] <= 12
    side = math.sqrt(float(diamond.sum()))
    found = items_from_masks(torch.tensor([1]), diamond).size
    assert float(found) == pytest.approx(side, rel=0.01)


@pytest.mark.parametrize("kind", ["box", "mask"])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_assignment_turns_with_the_image(kind: str, stride: int) -> None:
    group = PlanarGroup(4, reflections=True)
    side = (SHAPE[0] + stride - 1) // stride
    plain = assign(items_from_boxes(LABEL, BOX, SHAPE), (side, side), stride, kind)
    assert {-1, 0, 1} == set(plain.state.flatten().tolist())
    assert {0, 1} <= set(plain.item.flatten().tolist())
    for g in group:
        quarter, mirrored = group.parts(g)
        there = turned_boxes(BOX, quarter, bool(mirrored), 15)
        there[2] = 0
        turned = assign(items_from_boxes(LABEL, there, SHAPE), (side, side), stride, kind)
        assert torch.equal(turned.state, moved(group, g, plain.state))
        assert torch.equal(turned.item, moved(group, g, plain.item))
        offset = torch.einsum("ij,jxy->ixy", group.matrix(g), moved(group, g, plain.offset))
        torch.testing.assert_close(turned.offset, offset, atol=1e-12, rtol=0)


def test_every_thing_has_a_pixel_that_leads_to_it() -> None:
    for kind in ("box", "mask"):
        items = items_from_boxes(torch.tensor([1]), torch.tensor([[6, 3, 7, 4]]), SHAPE)
        for stride, side in ((1, 15), (2, 8), (5, 3)):
            targets = assign(items, (side, side), stride, kind)
            chosen = targets.state == 1
            assert chosen.any()
            centre = places(side, side, stride) + targets.offset
            assert (centre[:, chosen] - items.centre[0][:, None]).abs().max() < 1e-12


def test_no_things_and_what_is_refused() -> None:
    nothing = items_from_boxes(torch.zeros(2, dtype=torch.int64), torch.zeros(2, 4), SHAPE)
    targets = assign(nothing, SHAPE, 1, "box")
    assert not targets.state.any() and (targets.item == -1).all()
    assert isinstance(nothing, Items)
    with pytest.raises(ValueError, match=r"box is \[4.0, 0.0, 2.0, 3.0\]; expected top < bottom"):
        items_from_boxes(torch.tensor([1]), torch.tensor([[4, 0, 2, 3]]), SHAPE)
    with pytest.raises(ValueError, match=r"label and box have shapes \(1,\) and \(2, 4\)"):
        items_from_boxes(torch.tensor([1]), torch.zeros(2, 4), SHAPE)
    masks = torch.ones(3, 4, 4, dtype=torch.bool)
    masks[0], masks[2] = False, False
    assert items_from_masks(torch.tensor([0, 7]), masks[:2]).label.tolist() == [7]
    with pytest.raises(ValueError, match="mask 2, of label 5, is empty; expected a pixel at least"):
        items_from_masks(torch.tensor([0, 7, 5]), masks)
    with pytest.raises(ValueError, match=r"mask is torch.float32 \(1, 4, 4\); expected bool"):
        items_from_masks(torch.tensor([1]), torch.zeros(1, 4, 4))
