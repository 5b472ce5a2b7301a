"""What is found in a turned image is what was found, turned; and it can be learned."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from geocore.data.sources.canvas import Canvas
from geocore.data.sources.digits import Digits
from geocore.groups.finite import PlanarGroup
from geocore.groups.planar_action import moved
from geocore.groups.smooth_law import centre_error
from geocore.groups.steerable_fields import Fields, Symmetry
from geocore.measure.detection import mean_average_precision
from geocore.models.detection import Detector, HeadLayout, RegularHead
from geocore.models.detection_decoding import decode, turned_boxes
from geocore.models.detection_loss import detection_loss
from geocore.models.detection_targets import Items, items_from_boxes, items_from_masks
from tests.models.detectors import by_group_convolutions, by_steerable_layers

SIZE = 15


def images() -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(2, 1, SIZE, SIZE, generator=generator, dtype=torch.float64)


def detectors(kind: str) -> list[tuple[PlanarGroup, Detector]]:
    found = []
    for reflections in (False, True):
        group = PlanarGroup(4, reflections)
        found.append((group, by_group_convolutions(kind, group).double()))
        found.append((group, by_steerable_layers(kind, group.name)))
        found.append((group, by_steerable_layers(kind, "O2" if reflections else "SO2", pool=True)))
    return found


@pytest.mark.parametrize("kind", ["box", "mask"])
@pytest.mark.parametrize("number", range(6))
def test_boxes_turn_with_their_image(kind: str, number: int) -> None:
    group, detector = detectors(kind)[number]
    x = images()
    settings = {"threshold": 0.0, "overlap": 0.3, "most": 40}
    with torch.no_grad():
        before = decode(detector(x), detector.stride, (SIZE, SIZE), **settings)  # type: ignore[arg-type]
        for g in group:
            turned = detector(moved(group, g, x))
            after = decode(turned, detector.stride, (SIZE, SIZE), **settings)  # type: ignore[arg-type]
            quarter, mirrored = group.parts(g)
            for one, two in zip(before, after, strict=True):
                assert len(one.label) > 1
                assert torch.equal(one.label, two.label)
                torch.testing.assert_close(two.score, one.score, atol=1e-12, rtol=0)
                expected = turned_boxes(one.box, quarter, bool(mirrored), SIZE)
                torch.testing.assert_close(two.box, expected, atol=1e-10, rtol=0)
        widths = before[0].box[:, 3] - before[0].box[:, 1]
        heights = before[0].box[:, 2] - before[0].box[:, 0]
        square = bool((widths - heights).abs().max() < 1e-9)
        assert square == (kind == "mask")  # else the swap of the axes would be tested by nothing


@pytest.mark.parametrize("name", ["C8", "SO2", "O2"])
def test_fields_turn_by_any_angle_as_far_as_sampling_goes(name: str) -> None:
    """Measured at bumps of width 3: .003 to .02, with norms and ReLU in two layers."""
    detector, symmetry = by_steerable_layers("mask", name), Symmetry.named(name)
    fields = Fields(symmetry, detector.layout.features)
    network = nn.Sequential(detector.backbone, detector.head)
    for k in (1, 3):
        element = (2 * math.pi * k / (symmetry.n or 9), symmetry.reflections)
        assert centre_error(network, fields.matrix(element), element, 21) < 0.04


@pytest.mark.parametrize("kind", ["box", "mask"])
def test_it_learns_two_digits_on_a_canvas(kind: str) -> None:
    """Trained on upright canvases, it finds the digits of turned ones where they have gone."""
    items = Digits()
    canvas = Canvas(items, np.zeros(len(items), np.uint8), (3, 0, 0), (23, 23), (2, 2), None, 0)
    rows = np.arange(3)
    (columns,) = canvas.pieces(rows, 3)
    x = torch.from_numpy(columns["image"][..., 0]).float()[:, None] / 255
    told = [torch.from_numpy(part) for part in canvas.boxes(rows)]
    things = []
    for mask, label, box, frame in zip(torch.from_numpy(columns["label"]), *told, strict=True):
        inside = torch.zeros(2, 23, 23, dtype=torch.bool)
        for one, (top, left, bottom, right) in zip(inside, frame.tolist(), strict=True):
            one[top:bottom, left:right] = mask[top:bottom, left:right] > 0
        of_masks = items_from_masks(label, inside)
        assert torch.equal(of_masks.box, box.double())  # the canvas and the masks agree
        things.append(of_masks if kind == "mask" else items_from_boxes(label, box, (23, 23)))
    detector = by_group_convolutions(kind, PlanarGroup(4), 10, 8, kernels=(5, 5, 5))
    optimiser = torch.optim.Adam(detector.parameters(), 0.005)
    for _ in range(140):
        optimiser.zero_grad()
        loss = detection_loss(detector(x), things, 1)
        loss.backward()
        optimiser.step()
    truth = [(one.label, one.box if kind == "box" else squares(one)) for one in things]
    with torch.no_grad():
        for quarter in range(4):
            turned = detector(x.rot90(quarter, (-2, -1)))
            found = [(one.label, one.score, one.box) for one in decode(turned, 1, (23, 23))]
            there = [(label, turned_boxes(box, quarter, False, 23)) for label, box in truth]
            precision = mean_average_precision(found, there)
            assert precision is not None and precision > 0.9


def squares(items: Items) -> Tensor:
    """What a mask is told as: the square of its size about its centre."""
    half, (x, y) = items.size[:, None] / 2, items.centre.T[..., None]
    return torch.cat([11.5 - y - half, x + 11.5 - half, 11.5 - y + half, x + 11.5 + half], dim=1)


def test_what_is_refused() -> None:
    layout = HeadLayout("box", 2)
    with pytest.raises(ValueError, match="kind is 'keypoint'; expected 'box' or 'mask'"):
        HeadLayout("keypoint", 2)
    with pytest.raises(ValueError, match="classes is 0; expected at least 1"):
        HeadLayout("box", 0)
    with pytest.raises(ValueError, match=r"x has shape \(1, 3, 5, 5\); expected \(batch, 3, 4, h"):
        RegularHead(PlanarGroup(4), 3, layout)(torch.zeros(1, 3, 5, 5))
    with pytest.raises(ValueError, match="stride is 0; expected at least 1"):
        Detector(nn.Identity(), RegularHead(PlanarGroup(4), 3, layout), stride=0)
    with pytest.raises(ValueError, match="typical is 0; expected a positive number"):
        Detector(nn.Identity(), RegularHead(PlanarGroup(4), 3, layout), typical=0)
