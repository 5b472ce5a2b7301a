"""The ground: planes at two heights, the kerb between them, and paint."""

from __future__ import annotations

import numpy as np
import pytest

from geocore.data.scenes.classes import LANE_MARK, PAVEMENT, ROAD
from geocore.data.scenes.intersect import Axes
from geocore.data.scenes.roadplan import draw_street
from geocore.data.scenes.street import (
    FAR,
    KERB_FACE,
    NO_MARK,
    PAVEMENT_TOP,
    ROAD_TOP,
    WHITE,
    YELLOW,
    Bar,
    Line,
    Street,
    ground,
    ground_labels,
    marks,
    on_road,
)
from tests.data.scenes.simple import CROSSED, STREET

CAMERA = (0.0, -1.0, 1.5)


def towards(*points: tuple[float, float, float]) -> Axes:
    away = np.array(points) - CAMERA
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    x, y, z = away.astype(np.float32).T
    return x, y, z


@pytest.mark.parametrize(
    ("point", "face"),
    [
        ((7.0, 2.0, 0.0), ROAD_TOP),
        ((7.0, 6.0, 0.12), PAVEMENT_TOP),
        ((-3.0, -5.0, 0.12), PAVEMENT_TOP),
        ((7.0, 4.0, 0.06), KERB_FACE),
        ((3.0, -4.0, 0.02), KERB_FACE),
    ],
)
def test_range_to_a_known_point(point: tuple[float, float, float], face: int) -> None:
    t, found, height = ground(STREET, CAMERA, towards(point))
    assert t == pytest.approx([np.linalg.norm(np.subtract(point, CAMERA))], rel=1e-5)
    assert (found == face).all()
    assert height == pytest.approx([point[2]], abs=1e-5)


def test_the_road_runs_on_across_a_cross_street() -> None:
    points = ((12.0, 9.0, 0.0), (12.0, -9.0, 0.0), (13.0, 1.0, 0.0), (9.0, 6.0, 0.05))
    t, face, _ = ground(CROSSED, CAMERA, towards(*points))
    assert face.tolist() == [ROAD_TOP, ROAD_TOP, ROAD_TOP, PAVEMENT_TOP]
    expected = np.linalg.norm(np.subtract(points[:3], CAMERA), axis=1)
    np.testing.assert_allclose(t[:3], expected, rtol=1e-5)


def test_nothing_above_the_horizon_nor_beyond_the_haze() -> None:
    directions = towards((10.0, 0.0, 1.5), (10.0, 0.0, 3.0), (FAR + 1, -1.0, 0), (FAR - 1, -1.0, 0))
    assert np.isfinite(ground(STREET, CAMERA, directions)[0]).tolist() == [
        False,
        False,
        False,
        True,
    ]


@pytest.mark.parametrize("street", [STREET, CROSSED])
def test_the_ground_equals_a_walk_along_the_ray(street: Street) -> None:
    """Follow rays in steps of 2 mm to where they are first below the ground's height."""
    random = np.random.default_rng(3)
    count = 400
    points = np.stack([random.uniform(-2, 25, count), random.uniform(-8, 8, count)], axis=-1)
    directions = towards(*[(x, y, 0.0) for x, y in points.tolist()])
    t, _, _ = ground(street, CAMERA, directions)
    along = np.stack(directions).astype(np.float64)
    steps = np.arange(0.0, 30.0, 0.002)
    for ray in range(count):
        x, y, z = (CAMERA[axis] + steps * along[axis, ray] for axis in range(3))
        below = z <= np.where(on_road(street, x, y), 0.0, street.kerb)
        assert t[ray] == pytest.approx(steps[below.argmax()], abs=0.003)


def test_paint() -> None:
    street = Street(
        4.0, 0.12, (3.0, 3.0), (),
        (Line(0.0, 0.1, 6.0, 2.0, 1.0, WHITE), Line(2.0, 0.1, 0.0, 0.0, 0.0, YELLOW)),
        (Bar((10.0, 12.0), (-3.5, -1.5), 1.0),),
        None,
    )  # fmt: skip
    x = np.linspace(-60, 60, 12_001)[:-1] + 0.005
    across = np.zeros_like(x)
    dashed = marks(street, x, across) == WHITE
    assert dashed.mean() == pytest.approx(2 / 6, abs=1e-3)
    assert marks(street, np.array([1.5, 2.9, 3.1, 7.5]), np.zeros(4)).tolist() == [1, 1, 0, 1]
    assert (marks(street, x, across + 2.05) == YELLOW).all()
    assert (marks(street, x, across + 2.15) == NO_MARK).all()
    y = np.linspace(-4, 4, 8001)[:-1]
    zebra = marks(street, np.full_like(y, 11.0), y) == WHITE
    assert (zebra & (y > -3.5) & (y < -1.5)).sum() == pytest.approx(1000, abs=3)


def test_a_cross_street_has_no_lines_of_the_road() -> None:
    street = Street(
        4.0, 0.12, (3.0, 3.0), (), (Line(0.0, 0.1, 0.0, 0.0, 0.0, WHITE),), (), (12.0, 3.0)
    )
    x = np.array([5.0, 8.5, 12.5, 15.5, 17.0])
    assert marks(street, x, np.zeros(5)).tolist() == [1, 0, 0, 0, 1]


def test_labels_of_the_ground() -> None:
    face = np.array([ROAD_TOP, ROAD_TOP, PAVEMENT_TOP, KERB_FACE], dtype=np.int8)
    paint = np.array([0, 2, 1, 1], dtype=np.int8)
    assert ground_labels(face, paint).tolist() == [ROAD, LANE_MARK, PAVEMENT, PAVEMENT]


def test_streets_that_are_drawn() -> None:
    for seed in range(200):
        street = draw_street(np.random.default_rng(seed))
        driven = [lane for lane in street.lanes if not lane.parked]
        assert any(lane.heading == 1 for lane in driven)
        ends = sorted((lane.centre - lane.width / 2, lane.centre + lane.width / 2)
                      for lane in street.lanes)  # fmt: skip
        edges = [-street.half_width, *(high for _, high in ends)]
        assert edges[:-1] == pytest.approx([low for low, _ in ends])
        assert edges[-1] == pytest.approx(street.half_width)
        assert all(lane.centre * lane.heading < 1e-9 for lane in driven) or len(driven) % 2 == 1
        assert street.lines
