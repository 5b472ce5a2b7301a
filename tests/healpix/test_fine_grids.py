"""Every function against healpy on random pixels and directions of fine grids.

A million of them when there is time (``slow``), thirty thousand every day.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from geocore.healpix.adjacency import neighbours
from geocore.healpix.grid import (
    Ordering,
    nest2ring,
    nest2xyf,
    pix2ang,
    pix2vec,
    ring2nest,
    ring2xyf,
    xyf2nest,
    xyf2ring,
)
from geocore.healpix.interpolate import interp_weights
from geocore.healpix.locate import ang2pix, vec2pix

GRIDS = [
    pytest.param(nside, count, marks=marks, id=f"{nside}-{count}")
    for count, marks in ((30_000, ()), (10**6, pytest.mark.slow))
    for nside in (2**10, 2**20)
]
healpy = pytest.importorskip("healpy")


def random_pixels(nside: int, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(nside)
    pixel = torch.randint(12 * nside**2, (count,), generator=generator)
    # With the ends of the two caps, where the closed forms change.
    cap = 2 * nside * (nside - 1)
    return torch.cat(
        [pixel, *(torch.tensor([p, 12 * nside**2 - 1 - p]) for p in (0, cap - 1, cap))]
    )


def random_directions(nside: int, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(nside + 1)
    vectors = torch.randn(count, 3, dtype=torch.float64, generator=generator)
    directions: Tensor = vectors / vectors.norm(dim=1, keepdim=True)
    return directions


@pytest.mark.parametrize(("nside", "count"), GRIDS)
def test_numbers(nside: int, count: int) -> None:
    pixel = random_pixels(nside, count)
    p = pixel.numpy()
    np.testing.assert_array_equal(nest2ring(nside, pixel), healpy.nest2ring(nside, p))
    np.testing.assert_array_equal(ring2nest(nside, pixel), healpy.ring2nest(nside, p))
    for nest, there, back in ((True, nest2xyf, xyf2nest), (False, ring2xyf, xyf2ring)):
        found = there(nside, pixel)
        np.testing.assert_array_equal(torch.stack(found), np.stack(healpy.pix2xyf(nside, p, nest)))
        assert torch.equal(back(nside, *found), pixel)


@pytest.mark.parametrize("ordering", ["nested", "ring"])
@pytest.mark.parametrize(("nside", "count"), GRIDS)
def test_centres_and_neighbours(nside: int, count: int, ordering: Ordering) -> None:
    pixel, nest = random_pixels(nside, count), ordering == "nested"
    p = pixel.numpy()
    vectors, angles = pix2vec(nside, pixel, ordering), pix2ang(nside, pixel, ordering)
    # 2e-15: a few units in the last place of both libraries' sines and angles.
    expected = np.stack(healpy.pix2vec(nside, p, nest=nest), axis=1)
    np.testing.assert_allclose(vectors, expected, atol=2e-15, rtol=0)
    expected = np.stack(healpy.pix2ang(nside, p, nest=nest))
    np.testing.assert_allclose(torch.stack(angles), expected, atol=2e-15, rtol=0)
    assert torch.equal(vec2pix(nside, vectors, ordering), pixel)
    assert torch.equal(ang2pix(nside, *angles, ordering), pixel)
    around = neighbours(nside, pixel, ordering)
    np.testing.assert_array_equal(around.T, healpy.get_all_neighbours(nside, p, nest=nest))


@pytest.mark.parametrize("ordering", ["nested", "ring"])
@pytest.mark.parametrize(("nside", "count"), GRIDS)
def test_directions(nside: int, count: int, ordering: Ordering) -> None:
    vectors, nest = random_directions(nside, count), ordering == "nested"
    expected = healpy.vec2pix(nside, *vectors.T.numpy(), nest=nest)
    np.testing.assert_array_equal(vec2pix(nside, vectors, ordering), expected)
    theta = torch.acos(vectors[:, 2])
    phi = torch.atan2(vectors[:, 1], vectors[:, 0]).remainder(2 * math.pi)
    expected = healpy.ang2pix(nside, theta.numpy(), phi.numpy(), nest=nest)
    np.testing.assert_array_equal(ang2pix(nside, theta, phi, ordering), expected)
    pixel, weight = interp_weights(nside, theta, phi, ordering)
    pixels, weights = healpy.get_interp_weights(nside, theta.numpy(), phi.numpy(), nest=nest)
    np.testing.assert_array_equal(pixel.T, pixels)
    # Angles are rounded to some 1e-15; a pixel is 1 / nside as large.
    np.testing.assert_allclose(weight.T, weights, atol=2e-15 * nside, rtol=0)
