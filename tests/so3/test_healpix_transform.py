"""Maps at HEALPix centres and their coefficients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from geocore.healpix.grid import pix2vec
from geocore.so3.harmonics import spherical_harmonics
from geocore.so3.healpix_transform import HealpixTransform
from tests.so3.signals import s2_coefficients


def error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("ordering", ["nested", "ring"])
@pytest.mark.parametrize(("nside", "bandlimit"), [(1, 2), (4, 12), (8, 16)])
def test_the_inverse_is_the_sum(nside: int, bandlimit: int, ordering: str) -> None:
    transform = HealpixTransform(nside, bandlimit, ordering=ordering)  # type: ignore[arg-type]
    given = s2_coefficients(bandlimit, real=True)
    vectors = pix2vec(nside, torch.arange(12 * nside**2), ordering)  # type: ignore[arg-type]
    harmonics = spherical_harmonics(bandlimit - 1, vectors, "complex")
    expected = torch.zeros(len(given), len(vectors), dtype=torch.float64)
    for l in range(bandlimit):
        for m in range(l + 1):
            term = given[:, l, m, None] * harmonics[:, l * l + l + m]
            expected += term.real * (2 if m else 1)
    torch.testing.assert_close(transform.inverse(given), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    ("bandlimit", "iterations", "bound"),
    [(16, 0, 2e-2), (16, 1, 1e-3), (16, 3, 4e-6), (16, 10, 1e-13), (8, 0, 1e-3), (8, 3, 1e-12)],
)
def test_stated_accuracy(bandlimit: int, iterations: int, bound: float) -> None:
    transform = HealpixTransform(8, bandlimit, iterations=iterations)
    given = s2_coefficients(bandlimit, real=True)
    assert error(transform(transform.inverse(given)), given) < bound


def test_ring_weights_are_better_than_uniform_ones() -> None:
    given = s2_coefficients(8, real=True)
    ring, uniform = (
        HealpixTransform(8, 8, iterations=0, weights=kind) for kind in ("ring", "uniform")
    )
    maps = ring.inverse(given)
    assert error(ring(maps), given) < 0.2 * error(uniform(maps), given)


def test_equal_to_healpys_sum_and_better_than_its_analysis() -> None:
    healpy = pytest.importorskip("healpy")
    nside, bandlimit = 16, 32
    transform = HealpixTransform(nside, bandlimit, ordering="ring", iterations=3)
    given = s2_coefficients(bandlimit, real=True, count=1)[0]
    rows = [given[m:, m].numpy() for m in range(bandlimit)]  # healpy's order: m after m
    theirs = healpy.alm2map(np.concatenate(rows), nside, lmax=bandlimit - 1)
    maps = transform.inverse(given)
    torch.testing.assert_close(maps, torch.from_numpy(theirs), atol=1e-12, rtol=0)
    found = healpy.map2alm(theirs, lmax=bandlimit - 1, iter=3)
    peer = float(
        np.linalg.norm(found - np.concatenate(rows)) / np.linalg.norm(np.concatenate(rows))
    )
    assert error(transform(maps), given) < peer


def test_derivatives_leading_axes_and_single_precision() -> None:
    transform = HealpixTransform(2, 4, iterations=1)
    maps = torch.rand(2, 1, 48, dtype=torch.float64, requires_grad=True)
    assert transform(maps).shape == (2, 1, 4, 4)
    assert torch.autograd.gradcheck(transform, (maps[0, 0].detach().requires_grad_(),))
    given = s2_coefficients(4, real=True, count=1).requires_grad_()
    assert torch.autograd.gradcheck(transform.inverse, (given,))
    single = HealpixTransform(8, 16, iterations=6, dtype=torch.float32)
    given = s2_coefficients(16, real=True).to(torch.complex64)
    assert error(single(single.inverse(given)), given) < 1e-5


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="bandlimit is 13; expected an integer from 1 to 3 nside"):
        HealpixTransform(4, 13)
    with pytest.raises(ValueError, match="iterations is -1; expected an integer of at least 0"):
        HealpixTransform(4, 4, iterations=-1)
    with pytest.raises(ValueError, match="weights is 'pixel'; expected 'uniform' or 'ring'"):
        HealpixTransform(4, 4, weights="pixel")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"maps has shape \(48,\); expected \(\.\.\., 192\)"):
        HealpixTransform(4, 4)(torch.zeros(48, dtype=torch.float64))
