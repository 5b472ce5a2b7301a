"""Correlations on the grid are integrals over the sphere, and the library's transform."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from geocore.kernels.so3_correlation import correlations, factors, rotation_grid, turned
from geocore.kernels.so3_inputs import harmonic_coefficients, mean_square
from geocore.so3.driscoll_healy import driscoll_healy_directions
from geocore.so3.haar import haar_quadrature
from geocore.so3.orders import all_orders
from geocore.so3.quadrature import driscoll_healy_weights
from geocore.so3.rotation import euler_zyz_to_matrix
from geocore.so3.so3_transform import SO3Transform

CPU = torch.device("cpu")


def white(count: int, channels: int, bandlimit: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (count, channels, bandlimit, bandlimit)
    drawn = torch.randn(shape, generator=generator, dtype=torch.complex128)
    return harmonic_coefficients(drawn, bandlimit)


def first(v: Tensor) -> Tensor:
    x, y, z = v.unbind(-1)
    return 0.3 + x * y * z - 0.5 * y


def second(v: Tensor) -> Tensor:
    x, y, z = v.unbind(-1)
    return z**3 + x * y - 0.7 * x + 1


def test_they_are_integrals_of_f_and_the_turned_other() -> None:
    """``sum_p w_p f(x_p) f'(R x_p)`` at every rotation of the grid, R acting on points."""
    points = driscoll_healy_directions(6)
    weights = driscoll_healy_weights(6)[1][:, None] * torch.pi / 6
    maps = torch.stack([first(points), second(points)])[:, None]
    f = harmonic_coefficients(maps, 4)
    grid = rotation_grid(4, 5, torch.float64, CPU)
    found = correlations(factors(f[:1]), turned(f[1:], grid), grid).flatten()
    alpha, beta, gamma, haar = haar_quadrature(5)
    rotations = euler_zyz_to_matrix(alpha, beta, gamma)
    moved = torch.einsum("rij,bpj->rbpi", rotations, points)
    expected = (weights * first(points) * second(moved)).sum(dim=(1, 2))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)
    torch.testing.assert_close(grid.weights.repeat_interleave(100), haar, rtol=0, atol=1e-16)


@pytest.mark.parametrize(("bandlimit", "sampling"), [(1, 1), (4, 4), (5, 7)])
def test_they_are_the_inverse_transform_of_products(bandlimit: int, sampling: int) -> None:
    """Channels are summed; some colatitudes at a time give the same."""
    f, other = white(3, 2, bandlimit, 0), white(2, 2, bandlimit, 1)
    grid = rotation_grid(bandlimit, sampling, torch.float64, CPU)
    left = factors(f, scale=0.3)
    found = correlations(left, turned(other, grid), grid)
    products = torch.einsum("jclm,icln->ijlmn", all_orders(other).conj(), all_orders(f))
    products = 0.3 * products / (2 * torch.arange(bandlimit) + 1)[:, None, None]
    transform = SO3Transform(bandlimit, "gauss-legendre", sampling=sampling, real=False)
    expected = transform.inverse(products).real.reshape(found.shape)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    parts = [
        correlations(left, turned(other, grid, slice(b, b + 2)), grid)
        for b in range(0, sampling, 2)
    ]
    torch.testing.assert_close(torch.cat(parts, dim=2), found, rtol=0, atol=1e-13)


def test_float32_is_close() -> None:
    f = white(2, 1, 8, 0)
    values = []
    for dtype in (torch.complex64, torch.complex128):
        grid = rotation_grid(8, 12, dtype.to_real(), CPU)
        g = f.to(dtype)
        values.append(correlations(factors(g), turned(g, grid), grid))
    scale = 4 * torch.pi * float(mean_square(f).max())
    torch.testing.assert_close(values[0].double(), values[1], rtol=0, atol=1e-6 * scale)


def test_a_grid_too_coarse_is_named() -> None:
    with pytest.raises(ValueError, match="sampling is 3; expected an integer of at least"):
        rotation_grid(4, 3, torch.float64, CPU)
