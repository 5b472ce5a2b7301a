"""The reduced kernels against the formulas with every entry stored."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from geocore.groups.finite import PlanarGroup
from geocore.kernels.composed import serial
from geocore.kernels.group_layers import GroupConvolution, GroupPool, LiftingConvolution
from geocore.kernels.group_reference import full_storage_kernel
from geocore.kernels.layers import (
    AveragePool,
    Dense,
    Elementwise,
    Erf,
    Flatten,
    Gelu,
    GlobalAveragePool,
    Layer,
    Relu,
)
from geocore.kernels.windows import Padding


def images(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 2, 4, 4, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(
    ("group", "padding", "activation", "end", "support"),
    [
        (PlanarGroup(4), "circular", Relu(), GlobalAveragePool(), True),
        (PlanarGroup(4), "same", Erf(), Flatten(), False),
        (PlanarGroup(2, True), "circular", Gelu(), Flatten(), True),
        (PlanarGroup(4, True), "same", Relu(), GlobalAveragePool(), True),
    ],
)
def test_reduced_kernels_are_those_with_all_entries(
    group: PlanarGroup, padding: Padding, activation: Elementwise, end: Layer, support: bool
) -> None:
    layers = (
        LiftingConvolution(3, padding=padding, group=group, weight_std=1.3, bias_std=0.2),
        activation,
        GroupConvolution(3, padding=padding, rotation_support=support, bias_std=0.1),
        activation,
        GroupPool(),
        end,
        Dense(),
    )
    x1, x2 = images(1, 0), images(2, 1)
    every = full_storage_kernel(layers, x1, x2)
    for found, expected in zip(serial(*layers).kernel(x1, x2), every, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)


def test_what_it_does_not_know_is_named() -> None:
    x = images(1, 0)
    lift = LiftingConvolution(3, padding="same")
    with pytest.raises(ValueError, match="expected a lift that permutes pixels"):
        full_storage_kernel((Dense(),), x, x)
    with pytest.raises(ValueError, match="AveragePool has no full-storage form"):
        full_storage_kernel((lift, AveragePool(2)), x, x)
    with pytest.raises(ValueError, match="stride and padding are 1 and valid"):
        full_storage_kernel((LiftingConvolution(3, padding="valid"),), x, x)
