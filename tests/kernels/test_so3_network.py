"""Kernels of networks on SO(3): values by hand, invariance, and how the quadrature converges."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from geocore.kernels.composed import Residual, serial
from geocore.kernels.group_layers import GroupPool
from geocore.kernels.layers import Dense, Erf, Flatten, Gelu, Layer, LayerNorm, Relu
from geocore.kernels.protocol import PairKernel, described
from geocore.kernels.so3_inputs import harmonic_coefficients, mean_square
from geocore.kernels.so3_layers import RotationConvolution, RotationPool, SphericalLift
from geocore.kernels.so3_network import SphericalNetwork, so3_serial
from geocore.so3.driscoll_healy import driscoll_healy_directions
from geocore.so3.orders import all_orders
from geocore.so3.wigner import wigner_D
from tests.kernels.so3_square import Square


def smooth(count: int, bandlimit: int, seed: int = 0) -> Tensor:
    """Random coefficients of two channels whose power falls with the degree."""
    generator = torch.Generator().manual_seed(seed)
    shape = (count, 2, bandlimit, bandlimit)
    drawn = torch.randn(shape, generator=generator, dtype=torch.complex128)
    falling = (1 + torch.arange(bandlimit, dtype=torch.float64)) ** -2
    return harmonic_coefficients(drawn * falling[:, None], bandlimit)


def rotated(f: Tensor, alpha: float, beta: float, gamma: float) -> Tensor:
    """``(R f)_l = D^l(R) f_l``."""
    full, found = all_orders(f), torch.zeros_like(f)
    angles = (torch.tensor(a, dtype=torch.float64) for a in (alpha, beta, gamma))
    a, b, c = angles
    for l in range(f.shape[2]):
        span = slice(f.shape[2] - 1 - l, f.shape[2] + l)
        turned = full[:, :, l, span] @ wigner_D(l, a, b, c).T
        found[:, :, l, : l + 1] = turned[:, :, l:]
    return found


def deep(act: Layer, bandlimit: int, sampling: int, *after: Layer) -> SphericalNetwork:
    return so3_serial(
        SphericalLift(bandlimit, sampling, weight_std=1.2, bias_std=0.1),
        act,
        RotationConvolution(weight_std=0.9, bias_std=0.2),
        act,
        RotationPool(),
        *after,
        Dense(bias_std=0.3),
    )


def test_linear_networks_by_hand() -> None:
    """Only the mean over the sphere is left: ``K = s^2 mean f mean f' + b^2`` at the lift.

    Theta = K there, ``Theta <- K_new + s^2 Theta`` behind each layer with weights.
    """
    f = torch.zeros(2, 2, 3, 3, dtype=torch.complex128)
    f[:, :, 0, 0] = math.sqrt(4 * math.pi) * torch.tensor([[1, 2], [-1, 3]]).double()
    f[:, :, 1:, 1] = torch.complex(torch.tensor(0.7), torch.tensor(-0.2))
    lift, layer = SphericalLift(3, weight_std=2, bias_std=0.5), RotationConvolution(weight_std=3)
    once = so3_serial(lift, RotationPool()).kernel(f)
    expected = 4 * torch.tensor([[5.0, 5.0], [5.0, 10.0]], dtype=torch.float64) / 2 + 0.25
    torch.testing.assert_close(once.nngp, expected, rtol=1e-14, atol=0)
    torch.testing.assert_close(once.ntk, expected, rtol=1e-14, atol=0)
    twice = so3_serial(lift, layer, RotationPool(), Dense(bias_std=1)).kernel(f)
    torch.testing.assert_close(twice.nngp, 9 * expected + 1, rtol=1e-14, atol=0)
    torch.testing.assert_close(twice.ntk, 27 * expected + 1, rtol=1e-14, atol=0)


def test_constant_signals_are_vectors() -> None:
    """What is constant on the sphere sees dense layers: reference values of plain networks."""
    x = torch.tensor([[2.0, -1.0, 0.5], [0.3, 1.0, -1.5]], dtype=torch.float64)
    f = torch.zeros(2, 3, 2, 2, dtype=torch.complex128)
    f[:, :, 0, 0] = math.sqrt(4 * math.pi) * x
    dense = Dense(weight_std=2**0.5, bias_std=0.1)
    lift = SphericalLift(2, weight_std=2**0.5, bias_std=0.1)
    layer = RotationConvolution(weight_std=2**0.5, bias_std=0.1)
    net = so3_serial(lift, Relu(), layer, Relu(), RotationPool(), dense)
    nngp, ntk = (float(k[0, 1]) for k in net.kernel(f))
    assert abs(nngp - 1.200842927432) < 1e-11
    assert abs(ntk - 1.338192293228) < 1e-11
    plain = serial(dense, Relu(), dense, Relu(), dense).kernel(x)
    for found, expected in zip(net.kernel(f), plain, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-13, atol=0)


@pytest.mark.parametrize(
    ("act", "sampling", "tolerance"),
    [
        (Square(), 7, 1e-12),  # a polynomial of degree 12: exact
        (Gelu(), 10, 1e-12),  # smooth
        (Erf(), 12, 1e-12),
        (Relu(), 8, 2e-5),  # the error of the quadrature, by sampling
        (Relu(), 16, 5e-7),
    ],
    ids=["square", "gelu", "erf", "relu-8", "relu-16"],
)
def test_kernels_are_invariant(act: Layer, sampling: int, tolerance: float) -> None:
    """Under a rotation of either signal alone."""
    net, f, other = deep(act, 4, sampling, Dense(), Relu()), smooth(2, 4), smooth(2, 4, 1)
    g, g_other = rotated(f, 0.4, 1.1, -2.0), rotated(other, 2.4, 0.3, 0.7)
    plain = net.kernel(f, other)
    for turned in (net.kernel(g, other), net.kernel(f, g_other), net.kernel(g, g_other)):
        for found, expected in zip(turned, plain, strict=True):
            torch.testing.assert_close(found, expected, rtol=tolerance, atol=0)
    same, turned = net.kernel(f), net.kernel(f, g)  # c = 1 at one rotation: the kink of the ReLU
    for found, expected in zip(turned, same, strict=True):
        torch.testing.assert_close(found, expected, rtol=20 * tolerance, atol=0)


def test_signals_of_other_power_have_other_kernels() -> None:
    net, f = deep(Erf(), 4, 6), smooth(1, 4)
    other = f * torch.tensor([1, 1, 1, -1])[:, None] * torch.tensor([1, 1, 1, 2.0])[:, None]
    assert float((net.kernel(f, other).ntk - net.kernel(f).ntk).abs()) > 1e-4


def test_symmetric_halves_and_diagonals() -> None:
    """Also where tiles of rows, columns and colatitudes are several: 20 samples, 4 * 20^3."""
    net, f = deep(Relu(), 4, 6, Dense(), Relu()), smooth(20, 4)
    half, both, diagonal = net.kernel(f), net.kernel(f, f.clone()), net.diagonal(f)
    for k, full, own in zip(half, both, diagonal, strict=True):
        torch.testing.assert_close(k, full, rtol=1e-13, atol=0)
        torch.testing.assert_close(k.diagonal(), own, rtol=1e-13, atol=0)
    fine = deep(Relu(), 4, 20, Dense(), Relu())
    few = fine.kernel(f[:2], f[2:5])
    for k, full in zip(few, both, strict=True):
        torch.testing.assert_close(k, full[:2, 2:5], rtol=1e-4, atol=0)
    for k, one in zip(few, fine.kernel(f[1:2], f[4:5]), strict=True):
        torch.testing.assert_close(k[1:, 2:], one, rtol=1e-13, atol=0)


def test_layer_norm_and_residual_sums() -> None:
    """Normed, ``K(e)`` of a signal with itself is 1; a branch of weights adds."""
    f = smooth(3, 3)
    net = so3_serial(SphericalLift(3), LayerNorm(eps=0.0), RotationPool())
    means = f[:, :, 0, 0].real / (4 * math.pi) ** 0.5
    norms = mean_square(f).rsqrt()
    expected = means @ means.T / 2 * norms[:, None] * norms
    torch.testing.assert_close(net.kernel(f).nngp, expected, rtol=1e-12, atol=1e-15)
    branch = Residual(Relu(), RotationConvolution(weight_std=1.5))
    summed = so3_serial(SphericalLift(3), branch, RotationPool()).kernel(f)
    parts = [
        so3_serial(SphericalLift(3), *layers, RotationPool()).kernel(f)
        for layers in ((), (Relu(), RotationConvolution(weight_std=1.5)))
    ]
    for found, one, two in zip(summed, *parts, strict=True):
        torch.testing.assert_close(found, one + two, rtol=1e-13, atol=0)


def test_maps_and_number_types() -> None:
    """Driscoll-Healy and HEALPix maps of one function; float32 is float64 to 1e-5."""
    x, y, z = driscoll_healy_directions(5).unbind(-1)
    maps = torch.stack([1 + x * y, z - 0.5 * x])[:, None]
    net = deep(Relu(), 3, 5)
    f = harmonic_coefficients(maps, 3)
    exact = net.kernel(f)
    for inputs, rtol in ((maps, 1e-13), (maps.float(), 1e-5), (f.to(torch.complex64), 1e-5)):
        for found, expected in zip(net.kernel(inputs), exact, strict=True):
            assert found.dtype == (torch.float64 if rtol < 1e-6 else torch.float32)
            torch.testing.assert_close(found.double(), expected, rtol=rtol, atol=0)


def test_it_is_a_pair_kernel_that_describes_itself() -> None:
    net = deep(Relu(), 4, 6)
    assert isinstance(net, PairKernel)
    words = described(net)
    assert "bandlimit=4" in words and "on 864 rotations" in words
    assert words == described(deep(Relu(), 4, 6)) != described(deep(Gelu(), 4, 6))
    assert SphericalLift(6).size == 9
    assert SphericalLift(5).size == 8
    assert net.entries() == 864


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((), "the first layer is None; expected SphericalLift"),
        ((Dense(),), "expected SphericalLift"),
        ((SphericalLift(2), SphericalLift(2)), "is given functions on SO"),
        ((SphericalLift(2), Relu()), "ends with functions on SO"),
        ((SphericalLift(2), Dense(), RotationPool()), "expected RotationConvolution, or"),
        ((SphericalLift(2), Flatten(), Dense()), "Flatten has no form on the sphere"),
        ((SphericalLift(2), GroupPool(), Dense()), "GroupPool has no form on the sphere"),
        ((SphericalLift(2), Relu(), Relu(), RotationPool()), "Relu follows no affine layer"),
        ((SphericalLift(2), Relu(), RotationPool()), "ends with no affine layer"),
        ((SphericalLift(2), RotationPool(), RotationConvolution()), "no functions on SO"),
        ((SphericalLift(2), Residual(RotationPool(), Dense()), Dense()), "inside Residual"),
    ],
)
def test_wrong_networks_are_named(layers: tuple[Layer, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        so3_serial(*layers)


def test_wrong_layers_and_inputs_are_named() -> None:
    with pytest.raises(ValueError, match="bandlimit is 0; expected an integer of at least 1"):
        SphericalLift(0)
    with pytest.raises(ValueError, match="sampling is 3; expected an integer of at least the"):
        SphericalLift(4, 3)
    with pytest.raises(ValueError, match="ordering is 'rings'"):
        SphericalLift(4, ordering="rings")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="weight_std is -1"):
        RotationConvolution(weight_std=-1)
    with pytest.raises(ValueError, match="RotationPool is given no functions on SO"):
        serial(RotationPool(), Dense()).kernel(torch.rand(2, 3))
    net = deep(Relu(), 2, 3)
    with pytest.raises(ValueError, match="expected one dtype and shape of a sample"):
        net.kernel(smooth(1, 2), smooth(1, 3))


def test_inputs_that_require_gradients() -> None:
    net, f = deep(Relu(), 4, 6, Dense(), Relu(), Dense()), smooth(2, 4)
    asking = f.clone().requires_grad_()
    for found, expected in (
        (net.kernel(asking), net.kernel(f)),
        (net.kernel(asking, f), net.kernel(f, f)),
        (net.diagonal(asking), net.diagonal(f)),
    ):
        for one, two in zip(found, expected, strict=True):
            assert torch.equal(one, two) and not one.requires_grad and not one.is_inference()


@pytest.mark.parametrize("wrong", [Dense, "relu"])
def test_what_is_no_layer(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"layer is .*; expected a layer"):
        so3_serial(SphericalLift(4), RotationPool(), wrong)
