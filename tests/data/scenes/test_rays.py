"""The rays of a camera: every valid pixel once, inside its cone, near its centre."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from geocore.camera.lens import RadialCamera, valid_pixels
from geocore.camera.models import Equidistant, Pinhole
from geocore.data.scenes.rays import ray_tiles, rotate
from geocore.data.scenes.render import default_camera

CAMERAS: list[RadialCamera] = [
    default_camera(24, 32),
    Equidistant.from_angle_of_view(190.0, 21, 30, limit=85.0),  # no multiples of a tile; a rim
    Pinhole.from_angle_of_view(80.0, 17, 23),
]


@pytest.mark.parametrize("camera", CAMERAS)
def test_a_ray_through_the_centre_of_every_valid_pixel(camera: RadialCamera) -> None:
    tiles = ray_tiles(camera, 1)
    valid = valid_pixels(camera).numpy()
    pixels = tiles.pixel[tiles.pixel >= 0]
    assert sorted(pixels.tolist()) == np.flatnonzero(valid).tolist()
    found = tiles.image(tiles.directions.transpose(1, 2, 0))
    v, u = torch.meshgrid(torch.arange(camera.height), torch.arange(camera.width), indexing="ij")
    expected = camera.unproject(u.double(), v.double()).numpy()
    np.testing.assert_array_equal(found[valid], expected[valid])
    assert not found[~valid].any()


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("samples", [1, 4, 9])
def test_cones_hold_their_rays(camera: RadialCamera, samples: int) -> None:
    tiles = ray_tiles(camera, samples)
    cosine = np.einsum("ctr,tc->tr", tiles.directions, tiles.axis)
    assert (np.arccos(np.clip(cosine, -1, 1)) <= tiles.half[:, None] + 1e-7).all()


@pytest.mark.parametrize("camera", CAMERAS)
def test_samples_lie_one_in_each_cell_of_their_pixel(camera: RadialCamera) -> None:
    tiles = ray_tiles(camera, 4)
    directions = torch.from_numpy(tiles.directions.transpose(1, 2, 0).copy())
    across, down, in_front = camera.project(directions)
    shape = (len(tiles.pixel), -1, 4)
    u, v = (part.numpy().reshape(shape) for part in (across, down))
    inside = tiles.pixel >= 0
    row, column = np.divmod(tiles.pixel[inside], camera.width)
    du, dv = u[inside] - column[:, None], v[inside] - row[:, None]
    assert max(np.abs(du).max(), np.abs(dv).max()) <= 0.5 + 1e-9
    assert in_front.all()
    # A pixel on the rim has the centre in place of what the lens does not see.
    whole = (np.abs(du) + np.abs(dv) > 1e-9).all(axis=1)
    assert whole.mean() > 0.8
    cell = 2 * (du[whole] > 0) + (dv[whole] > 0)
    assert (cell == np.arange(4)).all()


def test_jitter_is_the_cameras_own_and_always_the_same() -> None:
    camera = default_camera(24, 32)
    first = ray_tiles(camera, 4).directions
    ray_tiles.cache_clear()
    np.testing.assert_array_equal(ray_tiles(dataclasses.replace(camera), 4).directions, first)


def test_rotation_of_a_ray_does_not_depend_on_the_others() -> None:
    turn = np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])
    directions = ray_tiles(default_camera(24, 32), 4).directions
    whole = rotate(turn, directions)
    np.testing.assert_allclose(
        np.stack(whole), np.einsum("ij,jtr->itr", turn, directions), atol=1e-7
    )
    for place in ((0, 0), (3, 17), (5, 255)):
        single = rotate(turn, directions[:, place[0], place[1]])
        assert [part[place] for part in whole] == list(single)


def test_samples_are_a_square() -> None:
    with pytest.raises(ValueError, match=r"samples is 5; expected 1, 4, 9"):
        ray_tiles(default_camera(24, 32), 5)
