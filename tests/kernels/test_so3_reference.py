"""The reduced kernel is that of every pair of coefficients; a convolution changes nothing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from geocore.kernels.dual import Variances
from geocore.kernels.layers import Dense, Elementwise, Gelu, Layer, Relu
from geocore.kernels.so3_correlation import correlations, factors, rotation_grid, turned
from geocore.kernels.so3_inputs import harmonic_coefficients, mean_square
from geocore.kernels.so3_layers import (
    RotationConvolution,
    RotationPool,
    RotationState,
    SphericalLift,
)
from geocore.kernels.so3_network import SphericalNetwork, so3_serial
from geocore.kernels.so3_reference import convolved, full_storage_kernel, lifted
from geocore.kernels.state import Side
from geocore.so3.driscoll_healy import driscoll_healy_directions
from geocore.so3.haar import haar_quadrature
from geocore.so3.quadrature import driscoll_healy_weights
from geocore.so3.rotation import euler_zyz_to_matrix
from geocore.so3.so3_transform import SO3Transform
from tests.kernels.so3_square import Square


def white(count: int, channels: int, bandlimit: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (count, channels, bandlimit, bandlimit)
    drawn = torch.randn(shape, generator=generator, dtype=torch.complex128)
    return harmonic_coefficients(drawn, bandlimit)


def network(act: tuple[Layer, ...], bandlimit: int, sampling: int) -> SphericalNetwork:
    """Weights and biases of their own in every layer."""
    return so3_serial(
        SphericalLift(bandlimit, sampling, weight_std=1.3, bias_std=0.2),
        *act,
        RotationConvolution(weight_std=0.8, bias_std=0.3),
        *act,
        RotationPool(),
        Dense(weight_std=1.1, bias_std=0.1),
    )


@pytest.mark.parametrize(
    ("act", "bandlimit", "sampling", "tolerance"),
    [
        ((), 3, 3, 1e-14),  # linear
        ((Square(),), 2, 5, 1e-14),  # degree 4: nothing is cut off
        ((Gelu(),), 2, 4, 1e-9),  # what is cut off differs
        ((Relu(),), 2, 4, 2e-6),
    ],
    ids=["linear", "square", "gelu", "relu"],
)
def test_reduced_storage_is_the_full_one(
    act: tuple[Elementwise, ...], bandlimit: int, sampling: int, tolerance: float
) -> None:
    x, y = white(2, 2, bandlimit, 0), white(1, 2, bandlimit, 1)
    net = network(act, bandlimit, sampling)
    full = full_storage_kernel(net.layers, x, y, sampling)
    for found, expected in zip(net.kernel(x, y), full, strict=True):
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=0)


def test_a_convolution_is_the_identity_behind_a_nonlinearity() -> None:
    """``K^`` of ``K(g' g^-1)`` behind a ReLU, degrees below 6: the textbook's sum gives it back."""
    f = white(2, 1, 3, 0)
    grid = rotation_grid(3, 8, torch.float64, torch.device("cpu"))
    samples = correlations(factors(f[:1]), turned(f[1:], grid), grid)
    own = 4 * torch.pi * mean_square(f)
    samples, _ = Relu().dual(samples, Variances(own[:1, None, None, None], own[1:, None, None]))
    transform = SO3Transform(6, "gauss-legendre", sampling=8, real=False)
    by_degree = transform(samples.reshape(transform.grid_shape).to(torch.complex128))
    # K(g' g^-1) = sum (2l+1) k_mm' D_mn(g') conj(D_m'n(g)), conj(D_m'n) = (-1)^(m'-n) D_-m',-n
    full = torch.zeros(1, 1, 6, 11, 11, 6, 11, 11, dtype=torch.complex128)
    orders = torch.arange(-5, 6)
    signs = (1 - 2 * (orders % 2)).to(torch.float64)
    for l in range(6):
        block = (by_degree[l] * signs).flip(1).T / (2 * l + 1)  # [first order of g, of g']
        for n in range(-l, l + 1):
            full[0, 0, l, :, 5 - n, l, :, 5 + n] = (-1) ** n * block
    found = convolved(RotationConvolution(), full)
    assert full[0, 0, 4:].abs().max() > 1e-4  # degrees that the signals do not have
    torch.testing.assert_close(found, full, rtol=0, atol=1e-15)


def test_the_integral_of_a_convolution_is_of_a_constant() -> None:
    """``int K_{gu, g'u} du = K_{g,g'}`` behind a ReLU, each ``K`` by its integral on the sphere."""
    points = driscoll_healy_directions(4).flatten(0, 1)
    areas = (driscoll_healy_weights(4)[1] * torch.pi / 4).repeat_interleave(8)

    def f(v: Tensor) -> Tensor:
        x, y, z = v.unbind(-1)
        return 0.3 + x * y - 0.5 * z

    def other(v: Tensor) -> Tensor:
        x, _, z = v.unbind(-1)
        return 0.2 + z * z - 0.7 * x

    def rectified(g: Tensor, h: Tensor) -> Tensor:
        values, others = f(points @ g.mT), other(points @ h.mT)  # f(g x), f'(g' x)
        covariance, a, b = (
            (areas * product).sum(dim=-1) / (4 * torch.pi)
            for product in (values * others, values**2, others**2)
        )
        return Relu().dual(covariance, Variances(a, b))[0]

    *angles, weights = haar_quadrature(3)
    u = euler_zyz_to_matrix(*angles)
    g, h = u[17], u[90]
    integral = (weights * rectified(g @ u, h @ u)).sum()
    torch.testing.assert_close(integral, rectified(g, h), rtol=0, atol=1e-15)
    elsewhere = (weights * rectified(g @ u, u @ h)).sum()  # no longer of g' g^-1
    assert abs(float(elsewhere - integral)) > 1e-4
    one = integral[None, None, None, None, None]
    state = RotationState(one, one, "diagonal", Side(one, []), Side(one, []), weights=weights)
    after = RotationConvolution().forward(state)
    torch.testing.assert_close(after.nngp, one, rtol=0, atol=0)


def test_the_lift_has_the_textbook_entries() -> None:
    """One harmonic: K^ is ``(-1)^n conj f conj f' / (4 pi (2l+1)^2)`` at ``n' = -n``, else 0."""
    f = torch.zeros(1, 1, 3, 3, dtype=torch.complex128)
    f[0, 0, 2, 0] = 2
    found = lifted(SphericalLift(3), f, f, 3)
    kept = found[0, 0, 2, 2, :, 2, 2, :]
    expected = (
        torch.diag(torch.tensor([1, -1, 1, -1, 1]).double()).flip(1) * 4 / (4 * torch.pi * 25)
    )
    torch.testing.assert_close(kept, expected.to(kept), rtol=0, atol=1e-16)
    assert int((found != 0).sum()) == 5


def test_layers_without_a_form_are_named() -> None:
    f = white(1, 1, 2, 0)
    with pytest.raises(ValueError, match="the first layer is Dense"):
        full_storage_kernel([Dense()], f, f)
    with pytest.raises(ValueError, match="Dense has no full-storage form"):
        full_storage_kernel([SphericalLift(2), Dense()], f, f)
