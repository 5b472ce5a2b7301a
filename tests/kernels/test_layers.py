"""Layers one by one: what they make of kernels, and what they refuse."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from geocore.groups.finite import PlanarGroup
from geocore.kernels.composed import serial
from geocore.kernels.convolution import Convolution
from geocore.kernels.group_layers import LiftingConvolution
from geocore.kernels.layers import (
    AveragePool,
    Dense,
    Flatten,
    Form,
    Gelu,
    GlobalAveragePool,
    Layer,
    LayerNorm,
    LeakyRelu,
    Relu,
)


def images(count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 2, 4, 4, generator=generator, dtype=torch.float64)


def test_a_linear_network_has_the_linear_kernel() -> None:
    """``K = s^2 x.x'/n + b^2`` and, of one layer, ``Theta = K``: not twice."""
    x = images(3).flatten(1)
    nngp, ntk = serial(Dense(weight_std=1.5, bias_std=0.5)).kernel(x)
    torch.testing.assert_close(nngp, 2.25 * x @ x.T / 32 + 0.25)
    torch.testing.assert_close(ntk, nngp)


def test_flatten_is_the_mean_over_equal_positions() -> None:
    x = images(3)
    maps = serial(Flatten(), Dense(), Relu(), Dense()).kernel(x)
    vectors = serial(Dense(), Relu(), Dense()).kernel(x.flatten(1))
    for one, two in zip(maps, vectors, strict=True):
        torch.testing.assert_close(one, two)


def test_pooling_is_the_mean_over_all_pairs_of_positions() -> None:
    """Without weights before it, it is the linear kernel of the pooled images."""
    x = images(3)
    found = serial(GlobalAveragePool(), Dense()).kernel(x)
    torch.testing.assert_close(found.nngp, serial(Dense()).kernel(x.mean(dim=(-2, -1))).nngp)
    windows = torch.nn.functional.avg_pool2d(x, 3, 1)
    found = serial(AveragePool(3, 1), Flatten(), Dense()).kernel(x)
    torch.testing.assert_close(found.nngp, serial(Flatten(), Dense()).kernel(windows).nngp)


@pytest.mark.parametrize("padding", ["circular", "same"])
def test_pools_that_cover_the_map_are_the_global_one(padding: str) -> None:
    hidden = (Convolution(3, padding=padding), Relu())  # type: ignore[arg-type]
    head = (Dense(), Relu(), Dense())
    whole = serial(*hidden, GlobalAveragePool(), *head).kernel(images(2), images(3, 1))
    windows = serial(*hidden, AveragePool(2), AveragePool(2), Flatten(), *head)
    for one, two in zip(whole, windows.kernel(images(2), images(3, 1)), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-13)


def test_layer_norm_makes_variances_one() -> None:
    nngp, ntk = serial(Dense(weight_std=3, bias_std=0.1), LayerNorm()).kernel(images(4).flatten(1))
    torch.testing.assert_close(nngp.diagonal(), torch.ones(4, dtype=torch.float64))
    torch.testing.assert_close(ntk, nngp)


C4 = PlanarGroup(4)


@pytest.mark.parametrize(
    ("layer", "form", "message"),
    [
        (Dense(), Form((4, 4)), r"Dense is given maps \(4, 4\); expected Flatten"),
        (Dense(), Form(None, group=C4), "Dense is given functions of C4; expected GroupPool"),
        (Flatten(), Form((4, 4), group=C4), "Flatten is given functions of C4"),
        (GlobalAveragePool(), Form(None), "GlobalAveragePool is given vectors; expected maps"),
        (AveragePool(5), Form((4, 6)), "window is 5 on maps 4 x 6"),
        (AveragePool(2), Form((5, 5), group=C4), "leave pixels of 5 over"),
        (Relu(), Form(None), "Relu follows no affine layer; expected Dense or Convolution"),
        (LayerNorm(), Form((4, 4)), "LayerNorm follows no affine layer"),
    ],
)
def test_inputs_that_do_not_fit_are_named(layer: Layer, form: Form, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layer.plan(form)


def test_constants_that_make_no_sense_are_named() -> None:
    with pytest.raises(ValueError, match="weight_std is 0; expected above 0"):
        Dense(weight_std=0)
    with pytest.raises(ValueError, match="bias_std is -1; expected 0 or more"):
        LiftingConvolution(3, bias_std=-1)
    with pytest.raises(ValueError, match="window and stride are 2 and 0"):
        AveragePool(2, 0)


def test_activations_are_named_after_themselves() -> None:
    assert Gelu().name == "Gelu"
    assert Relu() == Relu()


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (lambda: Dense(weight_std=math.inf), "weight_std is inf; expected above 0, finite"),
        (lambda: Dense(bias_std=math.inf), "bias_std is inf; expected 0 or more, finite"),
        (lambda: Dense(bias_std=math.nan), "bias_std is nan; expected 0 or more, finite"),
        (lambda: LayerNorm(eps=-1), "eps is -1; expected 0 or more"),
        (lambda: LayerNorm(eps=math.nan), "eps is nan; expected 0 or more"),
        (lambda: LeakyRelu(math.nan), "negative_slope is nan; expected a finite number"),
        (
            lambda: AveragePool(2.5),  # type: ignore[arg-type]
            "window and stride are 2.5 and 2.5; expected integers",
        ),
    ],
)
def test_layers_that_cannot_work(layer: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        layer()
