"""Layers on signals of few orders are those on all orders, with the same weights, cut."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from geocore.models.s2cnn.convolution import S2Convolution, SO3Convolution
from geocore.models.s2cnn.kernels import s2_kernel_grid, so3_kernel_grid
from geocore.models.s2cnn.norm import EquivariantNorm
from geocore.models.s2cnn.steered import SteeredActivation, to_steered
from geocore.models.s2cnn.steered_layers import (
    LiftedActivation,
    SteeredConvolution,
    SteeredLift,
    SteeredNorm,
)
from tests.models.s2cnn.signals import signal_s2, signal_so3

DOUBLE = torch.float64


def drawn(layer: torch.nn.Module) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(3)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, generator=generator)
    return layer


def lift(orders: int = 3, channels: int = 2, bias: bool = True) -> SteeredLift:
    layer = SteeredLift(channels, 4, 6, orders, s2_kernel_grid(0.8), bias=bias, dtype=DOUBLE)
    drawn(layer)
    return layer


@pytest.mark.parametrize("orders", [1, 3, 6])
def test_lift(orders: int) -> None:
    f = signal_s2(3, 2, bandlimit=6)
    whole = drawn(S2Convolution(2, 4, 6, 6, s2_kernel_grid(0.8), dtype=DOUBLE))
    expected = to_steered(whole(f), orders)
    torch.testing.assert_close(lift(orders)(f), expected, atol=1e-13, rtol=0)


@pytest.mark.parametrize("orders", [(1, 3), (3, 1), (4, 2), (6, 6)])
def test_convolution(orders: tuple[int, int]) -> None:
    n = torch.arange(-5, 6)
    f = signal_so3(2, 3, bandlimit=6) * (n.abs() < orders[0])
    kernel = so3_kernel_grid(0.8, 3, 2, 4)
    whole = drawn(SO3Convolution(3, 4, 6, 6, kernel, dtype=DOUBLE))
    few = drawn(SteeredConvolution(3, 4, 6, orders, kernel, dtype=DOUBLE))
    expected = to_steered(whole(f), orders[1])
    torch.testing.assert_close(few(to_steered(f, orders[0])), expected, atol=1e-13, rtol=0)


@pytest.mark.parametrize("over", ["sample", "channel"])
def test_norm(over: Any) -> None:
    f = signal_so3(2, 3, bandlimit=5) * (torch.arange(-4, 5).abs() < 3)
    whole = drawn(EquivariantNorm(3, over, dtype=DOUBLE))
    few = drawn(SteeredNorm(3, 5, over, dtype=DOUBLE))
    expected = to_steered(whole(f), 3)
    torch.testing.assert_close(few(to_steered(f, 3)), expected, atol=1e-13, rtol=0)


@pytest.mark.parametrize("over", [None, "sample", "channel"])
def test_lifted_activation_is_its_parts_in_turn(over: Any) -> None:
    f = signal_s2(3, 2, bandlimit=6)
    first = lift(bias=over is None)
    norm = None if over is None else SteeredNorm(4, 6, over, dtype=DOUBLE)
    if norm is not None:
        drawn(norm)
    activation = SteeredActivation("silu", (6, 4), (3, 2), oversampling=1.5, dtype=DOUBLE)
    lifted = first(f) if norm is None else norm(first(f))
    found = LiftedActivation(first, norm, activation)(f)
    torch.testing.assert_close(found, activation(lifted), atol=1e-13, rtol=0)


def test_gradients() -> None:
    f = signal_s2(2, 1, bandlimit=2).requires_grad_()
    first = SteeredLift(1, 2, 2, 2, s2_kernel_grid(0.8, 2, 2), bias=False, dtype=DOUBLE)
    norms = [SteeredNorm(2, 2, "channel", dtype=DOUBLE) for _ in range(2)]
    second = SteeredConvolution(2, 2, 2, (2, 1), so3_kernel_grid(0.8, 2, 2, 2), dtype=DOUBLE)
    activation = SteeredActivation("silu", (2, 2), (2, 2), dtype=DOUBLE)
    model = torch.nn.Sequential(LiftedActivation(first, norms[0], activation), second, norms[1])

    def loss(f: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = model(f)
        return found

    assert torch.autograd.gradcheck(loss, (f, *model.parameters()))


def test_bad_input_is_told_in_a_line() -> None:
    activation = SteeredActivation("silu", (6, 4), (3, 2), dtype=DOUBLE)
    with pytest.raises(ValueError, match="lift has a bias; expected none before a norm"):
        LiftedActivation(lift(), SteeredNorm(4, 6), activation)
    with pytest.raises(ValueError, match="have bandlimits 6 and 5; expected one"):
        LiftedActivation(lift(), None, SteeredActivation("silu", (5, 4), (3, 2)))
    with pytest.raises(ValueError, match=r"coefficients has shape \(1, 2, 5, 5\); expected"):
        lift()(signal_s2(1, 2, bandlimit=5))
    layer = SteeredConvolution(3, 4, 6, (2, 2), so3_kernel_grid(0.8))
    with pytest.raises(ValueError, match=r"expected \(6, 3, 2, 6, 3, batch\)"):
        layer(torch.zeros(6, 3, 2, 6, 4, 1))
    with pytest.raises(ValueError, match="grid has no gammas"):
        SteeredConvolution(3, 4, 6, (2, 2), s2_kernel_grid(0.8))
    with pytest.raises(ValueError, match="over is 'batch'"):
        SteeredNorm(3, 4, "batch")
