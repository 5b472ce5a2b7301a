"""Signals of few orders: the transform and the activation are those of all orders, cut."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from geocore.models.s2cnn.activation import SO3Activation
from geocore.models.s2cnn.steered import (
    SteeredActivation,
    SteeredTransform,
    from_steered,
    to_steered,
)
from geocore.so3.so3_transform import SO3Transform
from tests.models.s2cnn.signals import Rotations, relative_error, signal_so3

DOUBLE = torch.float64


def few_orders(*shape: int, bandlimit: int, orders: int) -> Tensor:
    """White noise of ``|n| < orders``, complex."""
    n = torch.arange(1 - bandlimit, bandlimit)
    return signal_so3(*shape, bandlimit=bandlimit) * (n.abs() < orders)


def test_layouts_are_inverse() -> None:
    f = few_orders(2, 3, bandlimit=5, orders=2)
    steered = to_steered(f, 2)
    assert steered.shape == (5, 3, 2, 5, 3, 2) and steered.is_contiguous()
    torch.testing.assert_close(from_steered(steered), f, atol=0, rtol=0)


@pytest.mark.parametrize("grid", ["driscoll-healy", "gauss-legendre"])
@pytest.mark.parametrize(("orders", "sampling"), [(1, 5), (3, 5), (3, 7), (5, 5)])
def test_there_and_back(grid: Any, orders: int, sampling: int) -> None:
    f = to_steered(few_orders(2, 3, bandlimit=5, orders=orders), orders)
    transform = SteeredTransform(5, orders, grid, sampling=sampling, dtype=DOUBLE)
    torch.testing.assert_close(transform(transform.inverse(f)), f, atol=1e-13, rtol=0)


@pytest.mark.parametrize("grid", ["driscoll-healy", "gauss-legendre"])
def test_samples_are_those_of_the_whole_transform(grid: Any) -> None:
    f = few_orders(2, 3, bandlimit=4, orders=3)
    whole = SO3Transform(4, grid, sampling=5)
    expected = whole.inverse(f).permute(3, 4, 2, 1, 0)  # (alpha, gamma, beta, channel, batch)
    steered = SteeredTransform(4, 3, grid, sampling=5, turns=10, dtype=DOUBLE)
    torch.testing.assert_close(steered.inverse(to_steered(f, 3)), expected, atol=1e-12, rtol=0)
    # Samples of more orders than are asked for: those are left out.
    samples = torch.rand_like(expected)
    found = to_steered(whole(samples.permute(4, 3, 2, 0, 1)), 3)
    torch.testing.assert_close(steered(samples), found, atol=1e-13, rtol=0)


def test_the_activation_is_that_of_all_orders_cut() -> None:
    """With as many turns as the whole grid has."""
    f = few_orders(2, 3, bandlimit=4, orders=4)
    whole = SO3Activation("relu", 4, oversampling=2, dtype=DOUBLE)
    layer = SteeredActivation(
        "relu", (4, 4), (4, 4), oversampling=2, grid="driscoll-healy", dtype=DOUBLE
    )
    torch.testing.assert_close(layer(to_steered(f, 4)), to_steered(whole(f), 4), atol=1e-13, rtol=0)


def test_the_grid_is_that_of_all_orders() -> None:
    shapes = [
        SteeredActivation("relu", bands, orders, oversampling=o).to_grid.grid_shape
        for bands, orders, o in (
            ((16, 12), (3, 3), 1.5), ((8, 1), (1, 1), 1.5), ((8, 8), (3, 1), 1.0),
        )
    ]  # fmt: skip
    assert shapes == [(48, 10, 24), (24, 1, 12), (16, 6, 8)]
    whole = SO3Activation("relu", 16, 12, oversampling=1.5).to_grid.grid_shape  # beta first
    assert (whole[0], whole[1]) == (48, 48)


# What one activation costs in equivariance, full band: the grid of twice the bandlimit.
@pytest.mark.parametrize(("fn", "bound"), [("relu", 0.02), ("silu", 0.005)])
def test_error_at_oversampling_two(fn: Any, bound: float) -> None:
    f, group = few_orders(1, 2, bandlimit=8, orders=3), Rotations("so3", 3)
    layer = SteeredActivation(
        fn, (8, 8), (3, 3), oversampling=2, grid="driscoll-healy", dtype=DOUBLE
    )
    plain = from_steered(layer(to_steered(f, 3)))
    for turn in group:
        found = from_steered(layer(to_steered(group.act(turn, f), 3)))
        assert relative_error(found, group.act(turn, plain)) <= bound


def test_gradients() -> None:
    f = to_steered(few_orders(1, 2, bandlimit=2, orders=2), 2).requires_grad_()
    layer = SteeredActivation("silu", (2, 2), (2, 1), dtype=DOUBLE)
    assert torch.autograd.gradcheck(layer, (f,))


def test_bad_input_is_told_in_a_line() -> None:
    with pytest.raises(ValueError, match="orders is 5; expected 1 to bandlimit 4"):
        SteeredTransform(4, 5)
    with pytest.raises(ValueError, match="turns is 4; expected at least 5"):
        SteeredTransform(4, 3, turns=4)
    with pytest.raises(ValueError, match=r"coefficients has shape \(4, 3, 2, 4, 1\); expected"):
        SteeredTransform(4, 3).inverse(torch.zeros(4, 3, 2, 4, 1))
    with pytest.raises(ValueError, match=r"samples has shape \(8, 4, 4\); expected \(8, 5, 4"):
        SteeredTransform(4, 3)(torch.zeros(8, 4, 4))
    with pytest.raises(ValueError, match=r"oversampling is 0\.5"):
        SteeredActivation("relu", (4, 4), (2, 2), oversampling=0.5)
