"""Rays against solids: ranges that can be written down, and the solids' own definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from geocore.data.scenes.intersect import Axes, enter, inside_shape, local, surface_normal
from geocore.data.scenes.solids import Shape, SolidList
from tests.data.scenes.simple import excess, random_rays

GREY = (0.5, 0.5, 0.5)
# A grazing ray's root keeps half of float32's digits: sqrt(2^-24) of a radius of 2 m.
ON_SURFACE = 5e-4


def solids() -> SolidList:
    found = SolidList()
    found.box(0, (0.2, -0.1, 0.3), (1.0, 2.0, 1.5), GREY)
    found.box(0, (0.2, -0.1, 0.3), (1.0, 2.0, 1.5), GREY, yaw=0.7)
    found.box(0, (0, 0, 0), (2.0, 1.5, 1.0), GREY, yaw=-0.4, taper=(0.6, 0.2))
    found.box(0, (0, 0, 0), (2.0, 1.5, 1.0), GREY, taper=(0.0, 0.75))  # a gable roof
    found.frustum(0, (0.3, 0.1, -1.5), 3.0, 1.2, GREY)
    found.frustum(0, (0, 0, -1.5), 3.0, 1.6, GREY, top=0.4)
    found.frustum(0, (0, 0, -1.0), 2.0, 2.0, GREY, top=0.05)  # flatter than many rays
    found.ellipsoid(0, (0.1, 0.2, -0.3), (1.5, 1.5, 1.5), GREY)
    found.ellipsoid(0, (0, 0, 0), (2.0, 0.7, 1.2), GREY, yaw=1.1)
    return found


def rays(origin: tuple[float, ...], direction: tuple[float, ...]) -> tuple[Axes, Axes]:
    length = math.sqrt(sum(part * part for part in direction))
    start = [np.array([part], dtype=np.float32) for part in origin]
    along = [np.array([part / length], dtype=np.float32) for part in direction]
    return (start[0], start[1], start[2]), (along[0], along[1], along[2])


@pytest.mark.parametrize(
    ("row", "origin", "direction", "expected"),
    [
        (0, (-5.0, 0.0, 0.0), (1, 0, 0), 4.2),  # the face at x = 0.2 - 1
        (0, (0.0, 0.0, 9.0), (0, 0, -1), 7.2),  # the lid at z = 1.8, a ray along its edges
        (0, (-5.0, 0.0, 0.0), (-1, 0, 0), math.inf),
        (0, (0.0, 0.0, 0.0), (1, 0, 0), math.inf),  # from inside
        (0, (-5.0, 2.5, 0.0), (1, 0, 0), math.inf),
        (4, (-4.7, 0.1, 0.0), (1, 0, 0), 3.8),  # the side at x = 0.3 - 1.2
        (4, (0.3, 0.1, 5.0), (0, 0, -1), 3.5),  # straight down onto the lid
        (4, (0.3, 0.1, 0.0), (0, 0, -1), math.inf),  # from inside
        (5, (-5.0, 0.0, 0.0), (1, 0, 0), 4.0),  # half-way up, the radius is 1
        (7, (0.1, 0.2, 4.0), (0, 0, -1), 2.8),
        (7, (-9.9, 0.2, -0.3), (1, 0, 0), 8.5),
        (8, (0.0, 0.0, 3.0), (0, 0, -1), 1.8),
    ],
)
def test_known_ranges(
    row: int, origin: tuple[float, ...], direction: tuple[float, ...], expected: float
) -> None:
    found = enter(solids().table(), row, *rays(origin, direction))
    assert found == pytest.approx([expected], abs=2e-6)


@pytest.mark.parametrize("row", range(9))
def test_the_first_point_on_the_surface(row: int) -> None:
    """Where a ray hits, it is on the surface and was outside; where it misses, all along."""
    table = solids().table()
    origin, direction = random_rays(4_000, seed=row)
    t = enter(table, row, origin, direction)
    start, along = (np.stack(part).astype(np.float64) for part in (origin, direction))
    hit = np.isfinite(t)
    assert 0.05 < hit.mean() < 0.95
    at = excess(table, row, start[:, hit] + t[hit] * along[:, hit])
    assert np.abs(at).max() < ON_SURFACE
    last = np.where(hit, t, 40.0)
    steps = np.linspace(0, 1, 101)[:-1, None]
    before = excess(table, row, start[:, None] + steps * last * along[:, None])
    assert before.min() > -ON_SURFACE


@pytest.mark.parametrize("row", range(9))
def test_normals_point_out_of_the_solid(row: int) -> None:
    table = solids().table()
    origin, direction = random_rays(5_000, seed=50 + row)
    t = enter(table, row, origin, direction)
    hit = np.isfinite(t)
    own_origin, own_direction = local(table, row, origin, direction)
    point = [(a + t * d)[hit] for a, d in zip(own_origin, own_direction, strict=True)]
    size, taper = (
        np.repeat(part[row][None].astype(np.float32), hit.sum(), axis=0)
        for part in (table.size, table.taper)
    )
    toward = (own_direction[0][hit], own_direction[1][hit], own_direction[2][hit])
    normal = surface_normal(
        int(table.kind[row]), size, taper, (point[0], point[1], point[2]), toward
    )
    vector = np.stack(normal).astype(np.float64)
    np.testing.assert_allclose((vector**2).sum(axis=0), 1, atol=1e-5)
    facing = np.sum([n * d for n, d in zip(normal, toward, strict=True)], axis=0)
    assert (facing < 1e-3).mean() > 0.999  # rounding at edges: the neighbouring face
    # A step along the normal leaves the solid, a step against it goes in.
    cos, sin = np.cos(table.yaw[row]), np.sin(table.yaw[row])
    turned = np.stack([cos * vector[0] - sin * vector[1], sin * vector[0] + cos * vector[1],
                       vector[2]])  # fmt: skip
    start, along = (np.stack(part).astype(np.float64)[:, hit] for part in (origin, direction))
    world = start + t[hit] * along
    assert (excess(table, row, world + 0.01 * turned) > 0).mean() > 0.995
    assert (excess(table, row, world - 0.01 * turned) < 0).mean() > 0.98  # not at thin edges


def test_a_thin_post_far_away_keeps_its_width() -> None:
    """B^2 - A C would lose it: at 100 m a post of 4 cm is 1e-7 of the squared distance."""
    found = SolidList()
    found.frustum(0, (100.0, 0.0, 0.0), 4.0, 0.04, GREY)
    side = np.linspace(-0.06, 0.06, 240)
    length = np.hypot(100.0, side)
    direction = ((100.0 / length).astype(np.float32), (side / length).astype(np.float32),
                 np.zeros(240, dtype=np.float32))  # fmt: skip
    zero = np.zeros(1, dtype=np.float32)
    t = enter(found.table(), 0, (zero, zero, zero + 2), direction)
    np.testing.assert_array_equal(np.isfinite(t), np.abs(side) < 0.04)
    assert t[120] == pytest.approx(99.96, abs=1e-4)  # a quarter of a millimetre off the middle


@pytest.mark.parametrize(
    ("shape", "area"),
    [
        (Shape.RECTANGLE, 4.0),
        (Shape.DISC, math.pi),
        (Shape.TRIANGLE, 2.0),
        (Shape.TRIANGLE_DOWN, 2.0),
        (Shape.DIAMOND, 2.0),
        (Shape.OCTAGON, 8 * (math.sqrt(2) - 1)),
    ],
)
def test_plates_have_the_area_of_their_shape(shape: Shape, area: float) -> None:
    side = np.linspace(-1.2, 1.2, 1201)
    y, z = np.meshgrid(side, side)
    assert inside_shape(shape, y, z).sum() * (side[1] - side[0]) ** 2 == pytest.approx(
        area, abs=0.02
    )
    down = shape == Shape.TRIANGLE_DOWN
    if shape in (Shape.TRIANGLE, Shape.TRIANGLE_DOWN):
        tip, base = (np.array([0.9, -0.9]), np.array([-0.9, 0.9]))
        at_tip, at_base = (
            inside_shape(shape, np.array([0.4, 0.4]), end)[1 if down else 0] for end in (tip, base)
        )
        assert (at_tip, at_base) == (False, True)


def test_a_plate_is_met_from_both_sides() -> None:
    found = SolidList()
    found.plate(0, (10.0, 0.0, 2.0), (0.5, 0.3), GREY, yaw=math.pi, shape=Shape.RECTANGLE)
    table = found.table()
    assert enter(table, 0, *rays((0, 0, 2), (1, 0, 0))) == pytest.approx([10.0])
    assert enter(table, 0, *rays((20, 0.4, 2.2), (-1, 0, 0))) == pytest.approx([10.0])
    assert np.isinf(enter(table, 0, *rays((0, 0.6, 2), (1, 0, 0))))
    assert np.isinf(enter(table, 0, *rays((0, 0, 2.4), (1, 0, 0))))
