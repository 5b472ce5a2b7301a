"""Duals against integrals over Gaussians, and at full correlation, where a root is delicate."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from geocore.kernels import layers
from geocore.kernels.composed import InfiniteNetwork, serial
from geocore.kernels.convolution import Convolution
from geocore.kernels.dual import (
    Activation,
    Erf,
    Gelu,
    Identity,
    LeakyRelu,
    Relu,
    Variances,
)

ALL = (Relu(), LeakyRelu(0.2), Erf(), Gelu(), Identity())
SMOOTH = (Erf(), Gelu(), Identity())


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def integral(activation: Activation, k: float, a: float, b: float) -> tuple[float, float]:
    """``E[s(u) s(v)]`` and ``E[s'(u) s'(v)]``, by Gauss-Hermite quadrature in both arguments."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    x, w = torch.from_numpy(nodes), torch.from_numpy(weights / math.sqrt(2 * math.pi))
    u = math.sqrt(a) * x[:, None] + 0 * x[None]
    v = k / math.sqrt(a) * x[:, None] + math.sqrt(b - k * k / a) * x[None]
    slopes = []
    for z in (u, v):
        z = z.clone().requires_grad_()
        slopes.append(torch.autograd.grad(activation.function(z).sum(), z)[0])
    mass = w[:, None] * w[None]
    values = activation.function(u) * activation.function(v)
    return float((mass * values).sum()), float((mass * slopes[0] * slopes[1]).sum())


@pytest.mark.parametrize("activation", SMOOTH, ids=str)
@pytest.mark.parametrize(("k", "a", "b"), [(0.3, 1.0, 0.5), (-0.6, 0.7, 1.4), (0.0, 1.0, 1.0)])
def test_duals_are_the_integrals(activation: Activation, k: float, a: float, b: float) -> None:
    value, slope = activation.dual(tensor(k), Variances(tensor(a), tensor(b)))
    expected = integral(activation, k, a, b)
    assert value.item() == pytest.approx(expected[0], abs=1e-10)
    assert slope.item() == pytest.approx(expected[1], abs=1e-10)


@pytest.mark.parametrize("leak", [0.0, 0.2, -1.0])
def test_rectifiers_are_their_integrals_over_the_angle(leak: float) -> None:
    """In polar coordinates ``(u, v)`` is a radius with ``E r^2 = 2`` and a uniform angle."""
    k, a, b = -0.4, 0.9, 1.6
    angle = (torch.arange(400_000, dtype=torch.float64) + 0.5) * (2 * math.pi / 400_000)
    between = math.acos(k / math.sqrt(a * b))
    activation = LeakyRelu(leak)
    u, v = angle.cos(), (angle - between).cos()
    expected = 2 * math.sqrt(a * b) * (activation.function(u) * activation.function(v)).mean()
    slopes = [torch.where(z > 0, 1.0, leak).double() for z in (u, v)]
    value, slope = activation.dual(tensor(k), Variances(tensor(a), tensor(b)))
    assert value.item() == pytest.approx(expected.item(), abs=1e-9)
    assert slope.item() == pytest.approx((slopes[0] * slopes[1]).mean().item(), abs=1e-5)


@pytest.mark.parametrize("activation", ALL, ids=str)
@pytest.mark.parametrize("a", [1e-8, 0.37, 2.0, 1e4])
def test_an_argument_with_itself_has_the_variance(activation: Activation, a: float) -> None:
    value, slope = activation.dual(tensor(a), Variances(tensor(a), tensor(a)))
    assert value.item() == pytest.approx(activation.variance(tensor(a)).item(), rel=1e-11)
    assert torch.isfinite(slope).all()


@pytest.mark.parametrize("rounding", [-4, -1, 0, 1, 4])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_rounding_of_a_full_correlation_changes_nothing(rounding: int, sign: int) -> None:
    """Without care the slope would be off by the root of a rounding, 1e-8."""
    a, eps = tensor(0.7), torch.finfo(torch.float64).eps
    k = sign * a * (1 + rounding * eps)
    value, slope = Relu().dual(k, Variances(a, a))
    assert value.item() == pytest.approx(0.35 if sign > 0 else 0, abs=1e-15)
    assert slope.item() == pytest.approx(0.5 if sign > 0 else 0, abs=1e-15)


@pytest.mark.parametrize("activation", ALL, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nothing_is_undefined(activation: Activation, dtype: torch.dtype) -> None:
    """Zero variances, and covariances that rounding has taken past the largest."""
    a = torch.tensor([0.0, 0.0, 1.0, 1.0, 3.0], dtype=dtype)
    b = torch.tensor([0.0, 1.0, 1.0, 1.0, 0.5], dtype=dtype)
    k = torch.tensor([0.0, 0.0, 1.0 + 1e-6, -1.0 - 1e-6, 1.2247449], dtype=dtype)
    for found in activation.dual(k, Variances(a, b)):
        assert torch.isfinite(found).all()
        assert found.dtype == dtype
    assert torch.isfinite(activation.variance(a)).all()


def test_variances_spread_after_the_function() -> None:
    small = tensor(1.0, 4.0)
    variances = Variances(small, small, lambda v: v[:, None], lambda v: v[None])
    left, right = variances.pair(torch.sqrt, lambda v: v * 10)
    assert (left * right).tolist() == [[10.0, 40.0], [20.0, 80.0]]


@pytest.mark.parametrize("activation", [*ALL, LeakyRelu(1.0)], ids=str)
@pytest.mark.parametrize("scale", [1.0, 0.3, 7.0])
def test_scaled_duals_are_duals_of_what_is_scaled(activation: Activation, scale: float) -> None:
    k, a, b = tensor(0.3, -0.5), tensor(0.9, 0.6), tensor(0.4, 0.8)
    value, slope = activation.dual(scale * k, Variances(scale * a, scale * b))
    found, factor = activation.scaled_dual(k, Variances(a, b), scale)
    after = activation.scale_after(scale)
    torch.testing.assert_close(after * found, value, rtol=1e-14, atol=0)
    torch.testing.assert_close(after * factor, scale * slope, rtol=1e-14, atol=0)
    own = after * activation.scaled_variance(a, scale)
    torch.testing.assert_close(own, activation.variance(scale * a), rtol=1e-14, atol=0)


def network(depth: int) -> InfiniteNetwork:
    return serial(*[layers.Dense(), layers.Relu()] * depth, layers.Dense())


@pytest.mark.parametrize(("depth", "scale"), [(55, 1.0), (1, 1e-8), (1, 1e8), (2, 0.0)])
def test_float32_holds_what_it_does_not_refuse(depth: int, scale: float) -> None:
    x = scale * torch.rand(3, 5, generator=torch.Generator().manual_seed(0))
    exact = network(depth).kernel(x.double())
    # 1e-6 a layer's rounding, of 55 layers that lose a factor of 2 each
    torch.testing.assert_close(network(depth).kernel(x).ntk.double(), exact.ntk, rtol=1e-4, atol=0)


@pytest.mark.parametrize(("depth", "scale"), [(90, 1.0), (1, 1e-12), (1, 1e10)])
def test_variances_whose_squares_float32_does_not_hold_are_refused(
    depth: int, scale: float
) -> None:
    x = scale * torch.rand(3, 5, generator=torch.Generator().manual_seed(0))
    with pytest.raises(
        ValueError, match=r"a variance before Relu is .*; expected one whose squ"
    ) as e:
        network(depth).kernel(x)
    assert str(e.value).endswith("float32 holds: other weights or inputs, or float64")
    with pytest.raises(ValueError, match=r"is inf; .* float64 holds: other weights or inputs$"):
        network(1).kernel(1e200 * torch.ones(3, 5, dtype=torch.float64))
    assert bool(network(depth).kernel(x.double()).ntk.isfinite().all())


def test_inputs_that_are_nearly_alike_keep_their_angle_in_float32() -> None:
    x = 1 + 0.01 * torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    convolution = Convolution(3, padding="circular")
    relu, read_out = layers.Relu(), (layers.GlobalAveragePool(), layers.Dense())
    alike = serial(convolution, relu, convolution, relu, *read_out)
    exact = alike.kernel(x.double()).ntk
    # measured 2e-6; with a b made smaller in place of a threshold it was 2.6e-5
    torch.testing.assert_close(alike.kernel(x).ntk.double(), exact, rtol=5e-6, atol=0)
