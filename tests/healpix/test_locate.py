"""Directions -> pixels: inverse of the centres, healpy, and the nearest-centre property."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from geocore.healpix.grid import MAX_NSIDE, Ordering, pix2ang, pix2vec
from geocore.healpix.locate import ang2pix, pixel_radius, vec2pix


def directions(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, 3, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("ordering", ["nested", "ring"])
@pytest.mark.parametrize("nside", [1, 2, 4, 8, 16, 32, 64])
def test_a_centre_lies_in_its_pixel(nside: int, ordering: Ordering) -> None:
    pixel = torch.arange(12 * nside**2)
    assert torch.equal(vec2pix(nside, pix2vec(nside, pixel, ordering), ordering), pixel)
    assert torch.equal(ang2pix(nside, *pix2ang(nside, pixel, ordering), ordering), pixel)


@pytest.mark.parametrize("nside", [1, 2, 4, 8, 16, 32, 64])
def test_healpy_agrees(nside: int) -> None:
    healpy = pytest.importorskip("healpy")
    vectors = directions(20_000)
    for ordering, nested in (("nested", True), ("ring", False)):
        expected = healpy.vec2pix(nside, *vectors.T.numpy(), nest=nested)
        found = vec2pix(nside, vectors, ordering)  # type: ignore[arg-type]
        np.testing.assert_array_equal(found, expected)
        angles = torch.acos(vectors[:, 2] / vectors.norm(dim=1)), torch.atan2(*vectors.T[[1, 0]])
        expected = healpy.ang2pix(nside, *(angle.numpy() for angle in angles), nest=nested)
        found = ang2pix(nside, *angles, ordering)  # type: ignore[arg-type]
        np.testing.assert_array_equal(found, expected)


def test_pixels_have_equal_areas() -> None:
    counts = torch.bincount(vec2pix(2, directions(96_000)), minlength=48)
    # 2000 expected in each of 48 pixels; five standard deviations.
    assert (counts - 2000).abs().max() < 5 * 2000**0.5


@pytest.mark.parametrize("nside", [1, 2, 4, 16, 256])
def test_pixel_radius(nside: int) -> None:
    healpy = pytest.importorskip("healpy")
    assert pixel_radius(nside) == pytest.approx(healpy.max_pixrad(nside), abs=1e-12)
    vectors = directions(20_000)
    vectors = vectors / vectors.norm(dim=1, keepdim=True)
    centres = pix2vec(nside, vec2pix(nside, vectors))
    furthest = 2 * torch.asin((vectors - centres).norm(dim=1) / 2).max()
    assert 0.8 * pixel_radius(nside) < furthest <= pixel_radius(nside)


def test_pixel_radius_of_the_finest_grid() -> None:
    """It halves from grid to grid in the end: to first order it is a length over nside."""
    ratio = pixel_radius(MAX_NSIDE // 2) / pixel_radius(MAX_NSIDE)
    assert ratio == pytest.approx(2, abs=4 / MAX_NSIDE)


def test_poles_and_length_do_not_matter() -> None:
    poles = torch.tensor([[0.0, 0, 1], [0, 0, -1], [1e-300, 0, 1e-3]], dtype=torch.float64)
    assert vec2pix(4, poles).tolist() == [15, 128, 15]
    vectors = directions(100)
    for length in (1e-140, 1e-6, 1e140):
        assert torch.equal(vec2pix(16, vectors), vec2pix(16, length * vectors))
    theta, phi = torch.tensor([0.0, math.pi]), torch.tensor([1.0, 0.0])
    assert ang2pix(4, theta, phi).tolist() == [15, 128]


def test_longitudes_are_periodic() -> None:
    theta, phi = pix2ang(8, torch.arange(768))
    for turns in (-3, -1, 1, 50):
        assert torch.equal(ang2pix(8, theta, phi + 2 * math.pi * turns), torch.arange(768))
    # Just below longitude 0, nearer than a float64 can tell below 2 pi, is on its western side.
    below = ang2pix(8, torch.tensor(1.2).double(), torch.tensor(-1e-18).double())
    assert int(below) == int(ang2pix(8, torch.tensor(1.2), torch.tensor(0.0)))


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"vectors has shape \(2,\)"):
        vec2pix(4, torch.zeros(2))
    for bad in (0.0, float("nan")):
        with pytest.raises(ValueError, match="zero or non-finite vector; expected directions"):
            vec2pix(4, torch.full((1, 3), bad))
    with pytest.raises(ValueError, match="colatitude runs from 0 to 4; expected radians"):
        ang2pix(4, torch.tensor([0.0, 4.0]), torch.zeros(2))
    with pytest.raises(ValueError, match="colatitude runs from nan"):
        ang2pix(4, torch.tensor([0.0, float("nan")]), torch.zeros(2))
    with pytest.raises(ValueError, match="longitude has a non-finite angle"):
        ang2pix(4, torch.zeros(2), torch.tensor([0.0, float("inf")]))
