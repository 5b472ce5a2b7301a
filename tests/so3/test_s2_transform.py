"""Samples on the sphere and their coefficients."""

from __future__ import annotations

import math

import pytest
import torch

from geocore.so3.harmonics import spherical_harmonics
from geocore.so3.quadrature import colatitudes
from geocore.so3.s2_transform import S2Transform
from geocore.so3.wigner import wigner_D
from tests.so3.signals import angles, rotations, s2_coefficients

GRIDS = ("driscoll-healy", "gauss-legendre")


def directions(transform: S2Transform) -> torch.Tensor:
    """Unit vectors of the grid, ``(beta, alpha, 3)``."""
    beta = colatitudes(transform.grid, transform.sampling)[0][:, None]
    alpha = math.pi * torch.arange(2 * transform.sampling, dtype=torch.float64)
    alpha = (alpha / transform.sampling).expand(len(beta), -1)
    sine = beta.sin()
    return torch.stack([sine * alpha.cos(), sine * alpha.sin(), beta.cos() + 0 * alpha], dim=-1)


@pytest.mark.parametrize("real", [True, False])
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize(("bandlimit", "sampling"), [(1, 1), (2, 5), (5, 5), (16, 16), (32, 40)])
def test_there_and_back(bandlimit: int, sampling: int, grid: str, real: bool) -> None:
    transform = S2Transform(bandlimit, grid, sampling=sampling, real=real)
    given = s2_coefficients(bandlimit, real)
    torch.testing.assert_close(transform(transform.inverse(given)), given, atol=1e-12, rtol=0)
    single = transform.float()
    back = single(single.inverse(given.to(torch.complex64)))
    torch.testing.assert_close(back, given.to(torch.complex64), atol=1e-5, rtol=0)


@pytest.mark.parametrize("grid", GRIDS)
def test_a_harmonic_has_one_coefficient(grid: str) -> None:
    transform = S2Transform(6, grid, real=False)
    harmonics = spherical_harmonics(5, directions(transform), "complex")
    for l, m in ((0, 0), (1, -1), (4, 3), (5, -5)):
        expected = torch.zeros(6, 11, dtype=torch.complex128)
        expected[l, m + 5] = 1
        found = transform(harmonics[..., l * l + l + m])
        torch.testing.assert_close(found, expected, atol=1e-14, rtol=0)


def test_the_integral_of_a_square_of_a_cosine() -> None:
    transform = S2Transform(3)
    cosines = directions(transform)[..., 2]
    # f_00 is the integral over sqrt(4 pi), and that of cos^2 is 4 pi / 3
    assert transform(cosines**2)[0, 0].real.item() == pytest.approx(math.sqrt(4 * math.pi) / 3)


@pytest.mark.parametrize("real", [True, False])
def test_rotated_coefficients_are_those_of_the_rotated_function(real: bool) -> None:
    bandlimit = 5
    transform = S2Transform(bandlimit, real=real)
    given, rotation = s2_coefficients(bandlimit, real, count=1)[0], rotations(1)[0]
    full = given
    if real:
        orders = torch.arange(1, bandlimit)
        negative = (given[:, 1:].conj() * (1 - 2 * (orders % 2))).flip(-1)
        full = torch.cat([negative, given], dim=-1)
    # f(R^-1 v), evaluated as a sum of harmonics.
    moved = directions(transform) @ rotation
    harmonics = spherical_harmonics(bandlimit - 1, moved, "complex")
    values = torch.zeros(transform.grid_shape, dtype=torch.complex128)
    expected = torch.zeros_like(full)
    alpha, beta, gamma = angles(1)
    for l in range(bandlimit):
        own = full[l, bandlimit - 1 - l : bandlimit + l]
        values += harmonics[..., l * l : (l + 1) ** 2] @ own
        matrix = wigner_D(l, alpha[0], beta[0], gamma[0])
        expected[l, bandlimit - 1 - l : bandlimit + l] = matrix @ own
    if real:
        found = transform(values.real)
        expected = expected[:, bandlimit - 1 :]
    else:
        found = transform(values)
    torch.testing.assert_close(found, expected, atol=1e-13, rtol=0)


@pytest.mark.parametrize("real", [True, False])
def test_derivatives_and_leading_axes(real: bool) -> None:
    transform = S2Transform(3, sampling=4, real=real)
    kind = torch.float64 if real else torch.complex128
    samples = torch.rand(2, 1, 8, 8, dtype=kind, requires_grad=True)
    assert transform(samples).shape[:2] == (2, 1)
    assert torch.autograd.gradcheck(transform, (samples,))
    given = s2_coefficients(3, real).requires_grad_()
    assert torch.autograd.gradcheck(transform.inverse, (given,))


def test_what_is_refused() -> None:
    transform = S2Transform(3)
    with pytest.raises(ValueError, match=r"samples has shape \(6, 8\); expected \(\.\.\., 6, 6\)"):
        transform(torch.zeros(6, 8, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"coefficients has shape \(3, 5\); expected \(\.\.\., 3,"):
        transform.inverse(torch.zeros(3, 5, dtype=torch.complex128))
    with pytest.raises(TypeError, match=r"samples is torch\.complex128; expected floats"):
        transform(torch.zeros(6, 6, dtype=torch.complex128))
    with pytest.raises(ValueError, match="sampling is 2; expected an integer of at least bandlim"):
        S2Transform(3, sampling=2)
