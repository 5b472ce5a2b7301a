"""Convolutions against neural-tangents, and what does not need it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from geocore.kernels.composed import serial
from geocore.kernels.convolution import Convolution
from geocore.kernels.layers import (
    Dense,
    Erf,
    Flatten,
    GlobalAveragePool,
    Layer,
    Relu,
)
from geocore.kernels.windows import Padding
from tests.kernels.oracle import by_neural_tangents


def images(count: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 2, 5, 4, generator=generator, dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("activation", [Relu(), Erf()], ids=["relu", "erf"])
@pytest.mark.parametrize(
    ("padding", "pool"),
    [("circular", GlobalAveragePool()), ("same", GlobalAveragePool()), ("valid", Flatten())],
)
def test_kernels_are_those_of_neural_tangents(
    padding: Padding, pool: Layer, activation: Layer
) -> None:
    network = serial(
        Convolution(3, padding=padding, weight_std=1.3, bias_std=0.1),
        activation,
        Convolution((3, 2), padding=padding, stride=1 if padding == "circular" else 2),
        activation,
        pool,
        Dense(bias_std=0.2),
    )
    x1, x2 = images(2, 0), images(3, 1)
    for ours, theirs in zip(
        network.kernel(x1, x2), by_neural_tangents(network, x1, x2), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-13)


def test_float32_is_float64_rounded() -> None:
    network = serial(Convolution(3), Relu(), Convolution(3), Relu(), GlobalAveragePool(), Dense())
    double = network.kernel(images(2, 0), images(3, 1))
    single = network.kernel(images(2, 0, torch.float32), images(3, 1, torch.float32))
    for one, two in zip(single, double, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one.double(), two, rtol=1e-5, atol=1e-6)


def test_filters_of_one_pixel_are_dense_layers_at_each() -> None:
    x = images(3, 0)
    found = serial(Convolution(1, bias_std=0.3), Flatten(), Dense()).kernel(x)
    expected = serial(Dense(bias_std=0.3), Dense()).kernel(x.flatten(1))
    for one, two in zip(found, expected, strict=True):
        torch.testing.assert_close(one, two)


def test_a_layout_changes_nothing() -> None:
    """A filter of 1 with padding ``same`` first: then covariances never lie by displacement."""
    rest = (Convolution(3, padding="circular"), Relu(), Convolution(2, padding="circular"))
    end = (Relu(), GlobalAveragePool(), Dense())
    fast, slow = serial(*rest, *end), serial(Convolution(1), *rest, *end)
    assert fast.displaced and not slow.displaced
    # A linear layer before another adds its own kernel to Theta and leaves the NNGP.
    torch.testing.assert_close(
        fast.kernel(images(2, 0), images(3, 1)).nngp,
        slow.kernel(images(2, 0), images(3, 1)).nngp,
        rtol=1e-12,
        atol=1e-14,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel_size": 0}, "kernel_size and stride are 0 and 1"),
        ({"stride": 0}, "kernel_size and stride are 3 and 0"),
        ({"padding": "reflect"}, "padding is 'reflect'; expected valid, same or circular"),
    ],
)
def test_constants_that_make_no_sense_are_named(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Convolution(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kernel_size": (3, 3, 3)}, r"kernel_size and stride are \(3, 3, 3\) and 1; expected"),
        ({"kernel_size": 2.5}, "kernel_size and stride are 2.5 and 1; expected"),
        ({"kernel_size": (3, 2.5)}, r"kernel_size and stride are \(3, 2.5\) and 1; expected"),
        ({"stride": 1.5}, "kernel_size and stride are 3 and 1.5; expected"),
    ],
)
def test_windows_are_of_whole_pixels(settings: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Convolution(**settings)
