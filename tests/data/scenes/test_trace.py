"""Tiles leave out what they may: rays and shadows are those of every ray against every solid."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from geocore.camera.lens import RadialCamera
from geocore.camera.models import Equidistant, Pinhole
from geocore.camera.pose import tilted
from geocore.data.scenes.classes import CLASSES, SKY
from geocore.data.scenes.intersect import enter
from geocore.data.scenes.rays import ray_tiles, rotate
from geocore.data.scenes.render import default_camera
from geocore.data.scenes.street import FAR
from geocore.data.scenes.trace import GROUND, NOTHING, closest, closest_reference, in_shadow
from geocore.data.scenes.world import draw_scene
from geocore.so3.rotation import quaternion_to_matrix
from tests.data.scenes.simple import excess

CAMERAS: list[tuple[RadialCamera, int]] = [
    (default_camera(48, 64), 1),
    (default_camera(30, 40), 4),
    (Equidistant.from_angle_of_view(300.0, 41, 43), 1),
    (Pinhole.from_angle_of_view(60.0, 37, 50), 1),
]


def turn(pitch: float, roll: float, yaw: float) -> np.ndarray:
    angles = (torch.tensor(angle) for angle in (pitch, roll, yaw))
    return np.asarray(quaternion_to_matrix(tilted(*angles)).numpy())


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("angles", [(0.0, 0.0, 0.0), (35.0, 80.0, -120.0)])
def test_tiles_change_nothing(number: int, angles: tuple[float, float, float]) -> None:
    camera, samples = CAMERAS[number]
    for seed in (3, 4):
        scene = draw_scene(seed)
        tiles = ray_tiles(camera, samples)
        rotation = scene.rotation() @ turn(*angles)
        directions = rotate(rotation, tiles.directions)
        fast = closest(scene, tiles, directions, rotation)
        slow = closest_reference(scene, directions)
        np.testing.assert_array_equal(fast.distance, slow.distance)
        np.testing.assert_array_equal(fast.solid, slow.solid)
        np.testing.assert_array_equal(fast.labels(scene.solids), slow.labels(scene.solids))


def test_hits_lie_on_what_they_name() -> None:
    """The point at a pixel's range is on the surface of its solid, which has its label."""
    scene = draw_scene(11)
    tiles = ray_tiles(default_camera(60, 80), 1)
    rotation = scene.rotation()
    directions = rotate(rotation, tiles.directions)
    hits = closest(scene, tiles, directions, rotation)
    labels, depth = hits.labels(scene.solids), hits.depth()
    points = np.asarray(scene.position)[:, None, None] + depth.astype(np.float64) * np.stack(
        directions
    ).astype(np.float64)
    assert ((hits.solid == NOTHING) == (labels == SKY)).all()
    assert (depth[labels == SKY] == 0).all()
    assert ((depth[labels != SKY] > 0) & (depth[labels != SKY] <= FAR)).all()
    for row in np.unique(hits.solid[hits.solid >= 0]).tolist():
        chosen = hits.solid == row
        assert (labels[chosen] == scene.solids.label[row]).all()
        at = np.abs(excess(scene.solids, row, points[:, chosen]))
        # Within 1 mm, or a thousandth of a semi-axis, even 200 m away.
        assert at.max() < 1e-3
    heights = points[2][hits.solid == GROUND]
    assert heights.min() > -1e-4
    assert heights.max() < scene.street.kerb + 1e-4
    assert len(np.unique(labels)) >= len(CLASSES) - 2


def test_shadows_equal_every_point_against_every_solid() -> None:
    scene = draw_scene(6)
    tiles = ray_tiles(default_camera(36, 48), 1)
    rotation = scene.rotation()
    directions = rotate(rotation, tiles.directions)
    hits = closest(scene, tiles, directions, rotation)
    lit = (hits.solid == GROUND) & (hits.distance < 30)
    depth = np.where(lit, hits.depth(), np.float32(0))
    points = tuple(
        np.float32(o) + depth * d for o, d in zip(scene.position, directions, strict=True)
    )
    zero, one = np.zeros_like(depth), np.ones_like(depth)
    found = in_shadow(scene, (points[0], points[1], points[2]), (zero, zero, one), lit)
    origin = (points[0], points[1], points[2] + np.float32(0.01))
    sun = [np.asarray(part, dtype=np.float32) for part in scene.light.sun]
    expected = np.zeros_like(lit)
    for row in range(len(scene.solids)):
        near = np.hypot(points[0] - scene.solids.centre[row, 0],
                        points[1] - scene.solids.centre[row, 1]) < 50.0  # fmt: skip
        expected |= near & np.isfinite(enter(scene.solids, row, origin, (sun[0], sun[1], sun[2])))
    expected &= lit
    assert 0.05 < expected[lit].mean() < 0.95
    np.testing.assert_array_equal(found, expected)
