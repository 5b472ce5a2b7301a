"""Bilinear weights: healpy, the laws of interpolation, and what happens at the poles."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from geocore.healpix.grid import Ordering, pix2ang, pixel_centres
from geocore.healpix.interpolate import interp_weights

NSIDES = [1, 2, 4, 8, 16, 32, 64]


def angles(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    z, phi = torch.rand(2, count, dtype=torch.float64, generator=generator)
    return torch.acos(2 * z - 1), 2 * math.pi * phi


def tolerance(nside: int) -> float:
    """Angles are rounded to some 1e-15; a pixel is 1 / nside as large."""
    return 2e-15 * nside


@pytest.mark.parametrize("ordering", ["nested", "ring"])
@pytest.mark.parametrize("nside", NSIDES)
def test_healpy_agrees(nside: int, ordering: Ordering) -> None:
    healpy = pytest.importorskip("healpy")
    theta, phi = angles(20_000)
    pixel, weight = interp_weights(nside, theta, phi, ordering)
    expected = healpy.get_interp_weights(
        nside, theta.numpy(), phi.numpy(), nest=ordering == "nested"
    )
    np.testing.assert_array_equal(pixel.T, expected[0])
    np.testing.assert_allclose(weight.T, expected[1], atol=tolerance(nside), rtol=0)


@pytest.mark.parametrize("ordering", ["nested", "ring"])
@pytest.mark.parametrize("nside", NSIDES)
def test_a_centre_has_its_own_value(nside: int, ordering: Ordering) -> None:
    """As healpy's, on every pixel; which others are named with weight zero is rounding."""
    own = torch.arange(12 * nside**2)
    pixel, weight = interp_weights(nside, *pix2ang(nside, own, ordering), ordering)
    there = torch.where(pixel == own[:, None], weight, 0.0).sum(dim=-1)
    torch.testing.assert_close(there, torch.ones_like(there), atol=tolerance(nside), rtol=0)


@pytest.mark.parametrize("nside", [1, 4, 1024, 2**20])
def test_weights_are_a_mean(nside: int) -> None:
    pixel, weight = interp_weights(nside, *angles(20_000))
    assert pixel.shape == weight.shape == (20_000, 4)
    assert int(pixel.min()) >= 0 and int(pixel.max()) < 12 * nside**2
    assert float(weight.min()) >= 0
    torch.testing.assert_close(weight.sum(dim=-1), torch.ones(20_000).double(), atol=1e-15, rtol=0)


def test_it_is_linear_in_colatitude() -> None:
    """The mean of the centres' colatitudes is the direction's own, but for the polar rings."""
    theta, phi = angles(20_000)
    pixel, weight = interp_weights(16, theta, phi, "ring")
    centre, _ = pix2ang(16, torch.arange(3072), "ring")
    inner = (theta > centre[0]) & (theta < centre[-1])
    found = (centre[pixel] * weight).sum(dim=-1)
    torch.testing.assert_close(found[inner], theta[inner], atol=1e-14, rtol=0)


def test_a_pole_is_the_mean_of_the_ring_around_it() -> None:
    theta = torch.tensor([0.0, math.pi], dtype=torch.float64)
    pixel, weight = interp_weights(8, theta, torch.tensor([0.3, 5.0]).double(), "ring")
    assert pixel.sort(dim=-1).values.tolist() == [[0, 1, 2, 3], [764, 765, 766, 767]]
    torch.testing.assert_close(weight, torch.full((2, 4), 0.25).double(), atol=1e-14, rtol=0)


def test_it_is_continuous_where_rings_and_longitudes_end() -> None:
    values = pixel_centres(8, ordering="ring") @ torch.tensor([0.3, -0.8, 0.5]).double()

    def at(theta: Tensor, phi: Tensor) -> Tensor:
        pixel, weight = interp_weights(8, theta, phi, "ring")
        return (values[pixel] * weight).sum(dim=-1)

    theta, phi = angles(500)
    centres, _ = pix2ang(8, torch.arange(768), "ring")
    rings = centres.unique()
    gap = torch.tensor(1e-9).double()
    for one, other in (
        (at(theta, torch.zeros(500) - gap), at(theta, torch.zeros(500) + gap)),
        (at(theta, phi - 2 * math.pi), at(theta, phi)),
        (at(rings[:, None] - gap, phi), at(rings[:, None] + gap, phi)),
    ):
        torch.testing.assert_close(one, other, atol=1e-7, rtol=0)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="nside is 3; expected a power of two"):
        interp_weights(3, torch.zeros(1), torch.zeros(1))
    with pytest.raises(ValueError, match=r"colatitude runs from -0\.5 to -0\.5; expected radians"):
        interp_weights(4, torch.tensor(-0.5), torch.tensor(0.0))
    with pytest.raises(ValueError, match="ordering is 'x'"):
        interp_weights(4, torch.zeros(1), torch.zeros(1), "x")  # type: ignore[arg-type]
