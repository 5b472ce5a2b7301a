"""Light on surfaces whose colour can be written down."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from geocore.camera.models import Equidistant
from geocore.data.scenes.classes import BUILDING, SKY
from geocore.data.scenes.light import draw_light
from geocore.data.scenes.noise import lattice, value_noise, value_noise_3d
from geocore.data.scenes.rays import ray_tiles, rotate
from geocore.data.scenes.render import render
from geocore.data.scenes.shading import shade
from geocore.data.scenes.solids import SolidList
from geocore.data.scenes.trace import closest
from geocore.data.scenes.world import Scene, draw_scene
from tests.data.scenes.simple import LIGHT, simple_scene

CAMERA = Equidistant.from_angle_of_view(170.0, 33, 33)
GREY = (0.5, 0.4, 0.3)


def colours(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    tiles = ray_tiles(CAMERA, 1)
    rotation = scene.rotation()
    directions = rotate(rotation, tiles.directions)
    hits = closest(scene, tiles, directions, rotation)
    return tiles.image(shade(scene, hits, directions)), tiles.image(hits.labels(scene.solids))


def wall(light_from_behind: bool = False) -> Scene:
    """A wall across the street at x = 9, the face towards the camera; the sun before or behind."""
    solids = SolidList()
    solids.box(BUILDING, (10.0, 0.0, 0.0), (1.0, 30.0, 40.0), GREY)
    sun = (0.8 if light_from_behind else -0.8, 0.0, 0.6)
    return dataclasses.replace(simple_scene(solids), light=dataclasses.replace(LIGHT, sun=sun))


def test_lambert_and_sky_light() -> None:
    """``albedo (sun n.s + ambient 0.6)`` on an upright wall, in all its pixels alike."""
    for behind, cosine in ((False, 0.8), (True, 0.0)):
        found, label = colours(wall(behind))
        expected = [
            a * (s * cosine + 0.6 * sky)
            for a, s, sky in zip(GREY, LIGHT.sunlight, LIGHT.ambient, strict=True)
        ]
        assert (label == BUILDING).sum() > 100
        seen = found[label == BUILDING]
        np.testing.assert_allclose(seen, np.broadcast_to(expected, seen.shape), rtol=1e-5)


def test_a_wall_behind_a_wall_is_in_its_shadow() -> None:
    """A slab between wall and sun: only the ambient light is left where it is in the way."""
    solids = SolidList()
    solids.box(BUILDING, (10.0, 0.0, 0.0), (1.0, 30.0, 40.0), GREY)
    solids.box(BUILDING, (-20.0, 0.0, 22.0), (1.0, 60.0, 26.0), GREY)  # behind the camera
    light = dataclasses.replace(LIGHT, sun=(-0.8, 0.0, 0.6))
    found, label = colours(dataclasses.replace(simple_scene(solids), light=light))
    dim = [0.6 * a * sky for a, sky in zip(GREY, LIGHT.ambient, strict=True)]
    np.testing.assert_allclose(found[16, 16], dim, rtol=1e-5)
    assert label[16, 16] == BUILDING


def test_haze_takes_its_share_with_the_distance() -> None:
    scene = wall()
    clear, _ = colours(scene)
    dull, label = colours(
        dataclasses.replace(scene, light=dataclasses.replace(scene.light, haze=30.0))
    )
    share = 1 - math.exp(-9.0 / 30.0)
    expected = clear[16, 16] + share * (np.array(LIGHT.horizon) - clear[16, 16])
    np.testing.assert_allclose(dull[16, 16], expected, rtol=1e-5)
    np.testing.assert_allclose(dull[label == SKY], clear[label == SKY], rtol=1e-6)


def test_colours_are_finite_and_in_range_for_every_light_and_material() -> None:
    kinds = set()
    for seed in range(8):
        found, _ = colours(draw_scene(seed))
        kinds.update(np.unique(draw_scene(seed).solids.material).tolist())
        assert np.isfinite(found).all()
        assert found.min() >= 0
        assert np.percentile(found, 98) < 1.6
    assert kinds == set(range(9))


def test_pictures_use_the_range_and_differ_in_light() -> None:
    means = []
    for seed in range(10):
        image = render(draw_scene(seed), CAMERA, samples=1).image
        means.append(image.mean())
        assert image.std() > 15
    assert min(means) > 40
    assert max(means) < 215
    assert np.std(means) > 8


def test_suns_are_unit_vectors_above_the_horizon() -> None:
    for seed in range(50):
        light = draw_light(np.random.default_rng(seed))
        assert math.hypot(*light.sun) == pytest.approx(1)
        assert light.sun[2] > 0.1


def test_noise_is_a_function_of_the_place() -> None:
    i, j = np.meshgrid(np.arange(-200, 200), np.arange(-200, 200))
    values = lattice(i, j, 5)
    assert values.min() >= 0
    assert values.max() < 1
    # Uniform: mean 1/2, variance 1/12, no correlation with a neighbour (4 standard errors).
    assert values.mean() == pytest.approx(0.5, abs=4 * math.sqrt(1 / 12) / 400)
    assert values.var() == pytest.approx(1 / 12, abs=0.001)
    for other in (lattice(i + 1, j, 5), lattice(i, j + 1, 5), lattice(i, j, 6)):
        assert abs(np.corrcoef(values.ravel(), other.ravel())[0, 1]) < 0.01
    u, v = i.astype(np.float32), j.astype(np.float32)
    np.testing.assert_array_equal(value_noise(u, v, 5), values)
    np.testing.assert_array_equal(value_noise_3d(u, v, np.full_like(u, 3), 2),
                                  value_noise(u, v, 2 * 131 + 3))  # fmt: skip
    step = np.float32(1e-3)
    assert np.abs(value_noise(u + 0.4, v, 5) - value_noise(u + 0.4 + step, v, 5)).max() < 2.5e-3
