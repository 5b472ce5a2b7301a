"""Smooth images turn exactly, and what does not commute is found."""

from __future__ import annotations

import math

import pytest
import torch

from geocore.groups.finite import PlanarGroup
from geocore.groups.planar_action import moved
from geocore.groups.smooth_law import bumps, centre_error


@pytest.mark.parametrize("mirrored", [False, True])
def test_quarter_turns_permute_pixels(mirrored: bool) -> None:
    plain = bumps(2, 15, channels=3)
    for quarter in range(4):
        turned = bumps(2, 15, element=(quarter * math.pi / 2, mirrored), channels=3)
        expected = moved(PlanarGroup(4, True), quarter + 4 * mirrored, plain)
        torch.testing.assert_close(turned, expected, atol=1e-14, rtol=0)


def test_errors_are_measured() -> None:
    element, scale = (0.7, False), torch.ones(1, 1, dtype=torch.float64)
    assert centre_error(lambda x: x, None, element, 15) < 1e-14  # the middle stays
    assert centre_error(lambda x: x, 3 * scale, element, 15) == pytest.approx(2 / 3)
    assert centre_error(lambda x: x.diff(dim=-1)[..., :-1, :], None, element, 15) > 0.3


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="size is 14; expected an odd number"):
        centre_error(lambda x: x, None, (0.7, False), 14)
    with pytest.raises(ValueError, match="width is 0; expected a positive number"):
        bumps(1, 5, 0)
