"""The loss sees neither turns nor mirrors, and is least where all is right."""

from __future__ import annotations

import pytest
import torch

from geocore.groups.finite import PlanarGroup
from geocore.groups.planar_action import moved
from geocore.models.detection import Predictions
from geocore.models.detection_decoding import turned_boxes
from geocore.models.detection_loss import detection_loss
from geocore.models.detection_targets import Items, assign, items_from_boxes
from tests.models.detectors import by_steerable_layers

LABEL = torch.tensor([3, 1])
BOX = torch.tensor([[2, 1, 8, 5], [9, 10, 12, 14]])


@pytest.mark.parametrize("kind", ["box", "mask"])
def test_it_is_invariant(kind: str) -> None:
    group, detector = PlanarGroup(4, True), by_steerable_layers(kind, "D4")
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 1, 15, 15, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        plain = detection_loss(detector(x), [items_from_boxes(LABEL, BOX, (15, 15))], 1)
        assert plain > 0.1
        for g in group:
            quarter, mirrored = group.parts(g)
            there = turned_boxes(BOX, quarter, bool(mirrored), 15)
            found = detector(moved(group, g, x))
            turned = detection_loss(found, [items_from_boxes(LABEL, there, (15, 15))], 1)
            torch.testing.assert_close(turned, plain, atol=1e-12, rtol=0)


def perfect(items: Items, kind: str) -> Predictions:
    targets = assign(items, (15, 15), 1, kind)
    there, item = targets.state == 1, targets.item.clamp_min(0)
    logs = items.extent.log()[item]
    size = logs.mean(dim=-1) if kind == "box" else items.size.log()[item]
    classes = torch.full((3, 15, 15), -20.0, dtype=torch.float64)
    classes.scatter_(0, (items.label[item] - 1)[None], 20.0)
    stretch = (logs[..., 0] - logs[..., 1]) / 2 if kind == "box" else None
    return Predictions(
        torch.where(there, 20.0, -20.0).double()[None],
        classes[None],
        targets.offset[None],
        size[None],
        None if stretch is None else stretch[None],
    )


@pytest.mark.parametrize("kind", ["box", "mask"])
def test_what_is_right_costs_nothing_and_any_fault_does(kind: str) -> None:
    items = items_from_boxes(LABEL, BOX, (15, 15))
    right = perfect(items, kind)
    least = float(detection_loss(right, [items], 1))
    assert least < 1e-5
    wrong = right._replace(offset=right.offset + 1)
    for other in (
        wrong,
        right._replace(size=right.size + 0.3),
        right._replace(classes=-right.classes),
        right._replace(objectness=-right.objectness),
    ):
        assert float(detection_loss(other, [items], 1)) > 0.1
    if right.stretch is not None:
        swapped = right._replace(stretch=-right.stretch)
        assert float(detection_loss(swapped, [items], 1)) > 0.1


def test_images_without_things_and_gradients() -> None:
    nothing = items_from_boxes(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4), (15, 15))
    items = items_from_boxes(LABEL, BOX, (15, 15))
    found = perfect(items, "box")
    assert float(detection_loss(found, [nothing], 1)) > 10
    # A perfect offset is where a length has no slope of its own: the gradient is finite.
    leaves = Predictions(*(part.clone().requires_grad_() for part in found if part is not None))
    detection_loss(leaves, [items], 1).backward()
    for part in leaves:
        assert part is not None and part.grad is not None and bool(part.grad.isfinite().all())
    with pytest.raises(ValueError, match="items has 2 images; expected 1"):
        detection_loss(found, [items, items], 1)
