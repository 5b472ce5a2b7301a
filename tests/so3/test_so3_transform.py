"""Samples on SO(3) and their coefficients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from geocore.so3.quadrature import colatitudes
from geocore.so3.rotation import euler_zyz_to_matrix, matrix_to_euler_zyz
from geocore.so3.so3_transform import SO3Transform
from geocore.so3.wigner import wigner_D
from tests.so3.signals import angles, rotations, so3_coefficients

GRIDS = ("driscoll-healy", "gauss-legendre")


def grid_angles(transform: SO3Transform) -> tuple[Tensor, Tensor, Tensor]:
    """Euler angles of the grid, each of its shape."""
    beta = colatitudes(transform.grid, transform.sampling)[0]
    circle = math.pi * torch.arange(2 * transform.sampling, dtype=torch.float64)
    circle = circle / transform.sampling
    beta, alpha, gamma = torch.meshgrid(beta, circle, circle, indexing="ij")
    return alpha, beta, gamma


def textbook(coefficients: Tensor, alpha: Tensor, beta: Tensor, gamma: Tensor) -> Tensor:
    """``sum_l (2l+1) sum_mn f^l_mn D^l_mn``, term by term, of complex signals."""
    bandlimit = coefficients.shape[-3]
    values = torch.zeros(alpha.shape, dtype=torch.complex128)
    for l in range(bandlimit):
        span = slice(bandlimit - 1 - l, bandlimit + l)
        matrices = wigner_D(l, alpha, beta, gamma)
        values += (2 * l + 1) * (coefficients[l, span, span] * matrices).sum(dim=(-1, -2))
    return values


@pytest.mark.parametrize("real", [True, False])
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize(("bandlimit", "sampling"), [(1, 1), (2, 5), (5, 5), (16, 16), (24, 32)])
def test_there_and_back(bandlimit: int, sampling: int, grid: str, real: bool) -> None:
    transform = SO3Transform(bandlimit, grid, sampling=sampling, real=real)
    given = so3_coefficients(bandlimit, real)
    torch.testing.assert_close(transform(transform.inverse(given)), given, atol=1e-12, rtol=0)
    single = transform.float()
    back = single(single.inverse(given.to(torch.complex64)))
    torch.testing.assert_close(back, given.to(torch.complex64), atol=1e-5, rtol=0)


def test_there_and_back_at_the_largest_bandlimit_promised() -> None:
    transform = SO3Transform(32)
    given = so3_coefficients(32, real=True, count=1)
    torch.testing.assert_close(transform(transform.inverse(given)), given, atol=1e-12, rtol=0)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("sampling", [4, 6])
def test_the_inverse_is_the_sum(grid: str, sampling: int) -> None:
    transform = SO3Transform(4, grid, sampling=sampling, real=False)
    given = so3_coefficients(4, real=False, count=1)[0]
    expected = textbook(given, *grid_angles(transform))
    torch.testing.assert_close(transform.inverse(given), expected, atol=1e-12, rtol=0)


def test_a_matrix_entry_has_one_coefficient() -> None:
    transform = SO3Transform(4, real=False)
    for l, m, n in ((0, 0, 0), (1, -1, 0), (3, 2, -3)):
        entry = wigner_D(l, *grid_angles(transform))[..., l + m, l + n]
        expected = torch.zeros(4, 7, 7, dtype=torch.complex128)
        expected[l, m + 3, n + 3] = 1 / (2 * l + 1)  # the Haar integral of |D^l_mn|^2
        torch.testing.assert_close(transform(entry), expected, atol=1e-14, rtol=0)


def test_real_signals_are_complex_ones_of_which_half_is_kept() -> None:
    half, whole = SO3Transform(5), SO3Transform(5, real=False)
    samples = half.inverse(so3_coefficients(5, real=True))
    found = whole(samples.to(torch.complex128))
    torch.testing.assert_close(found[..., 4:, :], half(samples), atol=1e-13, rtol=0)


def test_rotated_coefficients_are_those_of_the_rotated_function() -> None:
    bandlimit = 4
    transform = SO3Transform(bandlimit, real=False)
    given, rotation = so3_coefficients(bandlimit, real=False, count=1)[0], rotations(1)[0]
    grid = euler_zyz_to_matrix(*grid_angles(transform))
    values = textbook(given, *matrix_to_euler_zyz(rotation.mT @ grid))
    expected = torch.zeros_like(given)
    alpha, beta, gamma = angles(1)
    for l in range(bandlimit):
        span = slice(bandlimit - 1 - l, bandlimit + l)
        matrix = wigner_D(l, alpha[0], beta[0], gamma[0])
        expected[l, span, span] = matrix.conj() @ given[l, span, span]
    torch.testing.assert_close(transform(values), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("real", [True, False])
def test_derivatives_and_leading_axes(real: bool) -> None:
    transform = SO3Transform(2, sampling=3, real=real)
    kind = torch.float64 if real else torch.complex128
    samples = torch.rand(2, 1, *transform.grid_shape, dtype=kind, requires_grad=True)
    assert transform(samples).shape[:2] == (2, 1)
    assert torch.autograd.gradcheck(transform, (samples,))
    given = so3_coefficients(2, real, count=1).requires_grad_()
    assert torch.autograd.gradcheck(transform.inverse, (given,))


def test_what_is_refused() -> None:
    transform = SO3Transform(2)
    with pytest.raises(ValueError, match=r"samples has shape \(4, 4\); expected \(\.\.\., 4, 4, 4"):
        transform(torch.zeros(4, 4, dtype=torch.float64))
    with pytest.raises(TypeError, match=r"coefficients is torch\.float64; expected complex"):
        transform.inverse(torch.zeros(2, 2, 3, dtype=torch.float64))
    with pytest.raises(ValueError, match="bandlimit is 0; expected an integer of at least 1"):
        SO3Transform(0)
