"""Sections are flat, keep distances, and carry the exponents of their points."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from geocore.explain.hidden import HiddenMap
from geocore.explain.lyapunov import lyapunov_exponents
from geocore.explain.section import Section, exponent_field
from tests.explain.networks import chain, inputs, members

F64 = torch.float64


def three() -> tuple[Tensor, Tensor, Tensor]:
    a, b, c = inputs(3).unbind()
    return a, b, c


def test_a_plane_is_itself() -> None:
    section = Section.plane(2.0, 5)
    assert section.points().shape == (5, 5, 2)
    assert section.points()[0, 4].tolist() == [-2.0, 2.0]
    assert section.points()[3, 2].tolist() == [1.0, 0.0]
    assert section.spacing == 1.0
    torch.testing.assert_close(section.points(), section.coordinates(), rtol=0, atol=0)


def test_through_three_points_keeps_them_and_distances() -> None:
    points = three()
    section = Section.through(points, size=11)
    for point in points:
        away = section.components(point - section.origin)
        rebuilt = section.origin + away[0] * section.first + away[1] * section.second
        torch.testing.assert_close(rebuilt, point, rtol=0, atol=1e-12)
        assert float(away.abs().max()) <= section.extent / 1.2 + 1e-12
    grid = section.points()
    assert float((grid[3, 4] - grid[4, 4]).norm()) == pytest.approx(section.spacing, abs=1e-12)
    corner = float((grid[0, 0] - grid[10, 10]).norm())
    assert corner == pytest.approx(2 * 2**0.5 * section.extent, abs=1e-12)


def test_images_are_inputs_too() -> None:
    a, b, c = (x.view(1, 5) for x in three())
    section = Section.through((a, b, c), size=4)
    assert section.points().shape == (4, 4, 1, 5)
    assert section.components(section.points()).shape == (4, 4, 2)


@pytest.mark.parametrize("stacked", [False, True])
def test_a_field_is_the_exponent_at_every_point(stacked: bool) -> None:
    section, hidden = Section.through(three(), size=6), HiddenMap(chain())
    given = members() if stacked else None
    field = exponent_field(hidden, section, given, chunk=7)
    each = lyapunov_exponents(hidden, section.points()[2, 5][None], given, method="svd")
    assert field.exponent.shape == ((3, 6, 6) if stacked else (6, 6))
    torch.testing.assert_close(field.exponent[..., 2, 5], each.largest[..., 0], rtol=0, atol=1e-12)
    torch.testing.assert_close(field.total, 3 * field.exponent)
    axes = torch.stack([section.first, section.second])
    expected = each.direction[..., 0, :] @ axes.mT
    torch.testing.assert_close(field.direction[..., 2, 5, :], expected, rtol=0, atol=1e-9)
    assert float(field.direction.norm(dim=-1).max()) <= 1 + 1e-12


def test_bad_sections() -> None:
    first, second = torch.eye(2, dtype=F64)
    zero = torch.zeros(2, dtype=F64)
    with pytest.raises(ValueError, match=r"first, second are off orthonormal by 1\.0e"):
        Section(zero, first, first)
    with pytest.raises(ValueError, match=r"size, extent are 2, 1\.0; expected at least 3"):
        Section(zero, first, second, size=2)
    with pytest.raises(ValueError, match="origin, first, second have shapes"):
        Section(torch.zeros(3), first, second)
    with pytest.raises(ValueError, match="points lie on a line"):
        Section.through((zero, first, 2 * first))
