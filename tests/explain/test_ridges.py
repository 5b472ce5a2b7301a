"""Ridges lie where a field is largest across its stretching direction, to a part of the grid."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from geocore.explain.ridges import find_ridges
from geocore.explain.section import ExponentField, Section

F64 = torch.float64


def field(total: Tensor, direction: Tensor, size: int, depth: int = 4) -> ExponentField:
    return ExponentField(Section.plane(1.0, size, dtype=F64), total / depth, direction, depth)


def circle(size: int, radius: float = 0.6) -> ExponentField:
    """L lambda = 3 - 20 (r - radius)^2, the stretching direction radial."""
    at = Section.plane(1.0, size, dtype=F64).coordinates()
    r = at.norm(dim=-1)
    return field(3 - 20 * (r - radius) ** 2, at / r[..., None].clamp(min=1e-9), size)


@pytest.mark.parametrize("size", [40, 41, 81])
def test_a_circle_is_found_whole_and_to_a_part_of_the_grid(size: int) -> None:
    found = find_ridges(circle(size), floor=0.0)
    spacing = 2 / (size - 1)
    radius = found.position.norm(dim=1)
    assert float((radius - 0.6).abs().max()) < 0.12 * spacing
    assert float((found.height - 3).abs().max()) < 0.05
    assert float((found.sharpness / 40 - 1).abs().max()) < 0.25
    # One closed line: no gap is longer than two spacings, and no part is thick.
    angles = torch.atan2(found.position[:, 1], found.position[:, 0]).sort().values
    gaps = torch.cat([angles.diff(), angles[:1] + 2 * math.pi - angles[-1:]])
    assert float(gaps.max()) * 0.6 < 2 * spacing
    assert len(radius) < 1.5 * 2 * math.pi * 0.6 / spacing
    outward = found.position / radius[:, None]
    torch.testing.assert_close((found.direction * outward).sum(1).abs(), torch.ones_like(radius))


def test_a_line_between_grid_points() -> None:
    at = Section.plane(1.0, 21, dtype=F64).coordinates()
    along = torch.tensor([1.0, 0.0], dtype=F64).expand(21, 21, 2)
    found = find_ridges(field(-((at[..., 0] - 0.237) ** 2), along, 21))
    assert len(found.position) == 21
    torch.testing.assert_close(found.position[:, 0], torch.full((21,), 0.237, dtype=F64))
    torch.testing.assert_close(found.height, torch.zeros(21, dtype=F64), rtol=0, atol=1e-12)
    torch.testing.assert_close(found.sharpness, torch.full((21,), 2.0, dtype=F64))


def test_a_crest_along_the_stretching_direction_is_none() -> None:
    at = Section.plane(1.0, 21, dtype=F64).coordinates()
    wrong = torch.tensor([0.0, 1.0], dtype=F64).expand(21, 21, 2)
    assert not bool(find_ridges(field(-(at[..., 0] ** 2), wrong, 21)).mask.any())
    leaving = torch.zeros(21, 21, 2, dtype=F64)
    assert not bool(find_ridges(field(-(at[..., 0] ** 2), leaving, 21)).mask.any())


def test_floor_and_drop() -> None:
    full = circle(41)
    assert not bool(find_ridges(full, floor=3.1).mask.any())
    assert not bool(find_ridges(full, drop=0.2).mask.any())  # 20 * 0.05^2 is 0.05
    assert bool(find_ridges(full, drop=0.03).mask.any())


def test_no_ridge_on_the_rim() -> None:
    at = Section.plane(1.0, 21, dtype=F64).coordinates()
    along = torch.tensor([1.0, 0.0], dtype=F64).expand(21, 21, 2)
    assert not bool(find_ridges(field(at[..., 0], along, 21)).mask.any())


def test_members_one_by_one() -> None:
    full = circle(41)
    several = ExponentField(full.section, full.exponent[None], full.direction[None], 4)
    with pytest.raises(ValueError, match=r"exponent has shape \(1, 41, 41\); expected \(size"):
        find_ridges(several)
