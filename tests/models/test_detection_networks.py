"""Detectors of one making for every group; that of one element is a plain CNN."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from geocore.groups.finite import PlanarGroup
from geocore.models.detection import HeadLayout
from geocore.models.detection_networks import equal_width, regular_detector

LAYOUT = HeadLayout("box", 3)


def test_the_group_of_one_element_gives_a_plain_cnn() -> None:
    detector = regular_detector(PlanarGroup(1), LAYOUT, 4, layers=2).double()
    x = torch.randn(2, 1, 9, 9, dtype=torch.float64)
    one, two, head = (w for name, w in detector.named_parameters() if name.endswith("weight"))
    first, second = one, two.squeeze(2)  # the axis of the group
    hidden = F.relu(F.conv2d(x, first, detector.backbone[0].bias, padding=2))  # type: ignore[index]
    hidden = F.relu(F.conv2d(hidden, second, detector.backbone[2].bias, padding=2))  # type: ignore[index]
    expected = torch.einsum("ic,bcxy->bixy", head, hidden)[:, 5:]
    found = detector(x)
    torch.testing.assert_close(found.offset, detector.typical * expected[:, :2])
    torch.testing.assert_close(found.stretch, expected[:, 2])


@pytest.mark.parametrize("reflections", [False, True])
@pytest.mark.parametrize("channels", [4, 8, 12])
def test_equal_widths_are_equal_sizes(reflections: bool, channels: int) -> None:
    """To a twentieth where hundreds of thousands are rounded, a tenth where thousands are."""
    group = PlanarGroup(4, reflections)
    sizes = [
        sum(p.numel() for p in regular_detector(g, LAYOUT, width).parameters())
        for g, width in ((group, channels), (PlanarGroup(1), equal_width(group, channels)))
    ]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.1)


def test_no_layers() -> None:
    with pytest.raises(ValueError, match="layers is 0; expected at least 1"):
        regular_detector(PlanarGroup(4), LAYOUT, 4, layers=0)
