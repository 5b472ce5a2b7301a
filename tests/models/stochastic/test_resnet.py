"""The residual network: how deep, which layers are random, no sample sees another."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import nn

from geocore.models.stochastic.families import Family
from geocore.models.stochastic.layer import StochasticLayer
from geocore.models.stochastic.resnet import ResidualBlock, stochastic_resnet

FAMILIES: tuple[Family, ...] = get_args(Family)


@pytest.mark.parametrize("depth", [8, 14, 20])
def test_depth_counts_the_layers_on_the_way(depth: int) -> None:
    model = stochastic_resnet(3, 10, "none", depth=depth, widths=(2, 3, 4))
    layers = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d) and "short" not in name
    ]
    assert len(layers) == depth


def test_parameters_of_the_reference_network() -> None:
    """ResNet-20 of widths 16, 32, 64, counted by hand: 3x3 and 1x1 filters, norms, head."""
    model = stochastic_resnet(3, 10, "none", depth=20)
    filters = 9 * (3 * 16 + 6 * 16**2 + 16 * 32 + 5 * 32**2 + 32 * 64 + 5 * 64**2)
    around, norms, head = 16 * 32 + 32 * 64, 2 * (7 * 16 + 6 * 32 + 6 * 64), 64 * 10 + 10
    assert sum(p.numel() for p in model.parameters()) == filters + around + norms + head


@pytest.mark.parametrize("family", FAMILIES)
def test_a_sample_depends_on_no_other_and_gradients_reach_all(family: Family) -> None:
    model = stochastic_resnet(3, 5, family, 0.2, widths=(3, 4, 5), dtype=torch.float64).train()
    x = torch.randn(4, 3, 12, 12, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    layers = [one for one in model.modules() if isinstance(one, StochasticLayer)]
    for layer in layers:
        layer.noise = torch.rand(4, *layer.noise_shape, generator=generator)
    out = model(x)
    assert out.shape == (4, 5)
    out.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name
    for layer in layers:
        assert layer.noise is not None
        layer.noise = layer.noise[1:3]
    torch.testing.assert_close(model(x[1:3]), out[1:3], atol=1e-12, rtol=0)


def test_a_block_is_its_inner_branch_and_the_way_around() -> None:
    model = stochastic_resnet(3, 5, "none", widths=(4, 4, 6), activation="tanh")
    block, wider = model.blocks[0], model.blocks[2]
    assert isinstance(block, ResidualBlock) and isinstance(wider, ResidualBlock)
    x = torch.randn(2, 4, 8, 8)
    inner = block.norm2(block.conv2(torch.tanh(block.norm1(block.conv1(x)))))
    torch.testing.assert_close(block(x), torch.tanh(inner + x))
    with torch.no_grad():
        wider.norm2.weight.zero_()
    torch.testing.assert_close(wider(x), torch.tanh(wider.short(x)))
    assert wider(x).shape == (2, 6, 4, 4)


@pytest.mark.parametrize("family", ["dropout", "dropconnect", "nonparametric"])
def test_random_layers(family: Family) -> None:
    model = stochastic_resnet(3, 5, family, 0.2, widths=(3, 4, 5))
    plain = [n for n, m in model.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert plain == ([] if family == "nonparametric" else ["stem"])
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules())


@pytest.mark.parametrize("depth", [2, 9, 18])
def test_refuses_other_depths(depth: int) -> None:
    with pytest.raises(
        ValueError, match=rf"depth is {depth}; expected 8, 14, 20, \.\.\.: 6 n \+ 2"
    ):
        stochastic_resnet(3, 10, "none", depth=depth)


def test_refuses_other_widths() -> None:
    with pytest.raises(
        ValueError, match=r"channels, widths, classes are 3, \(4, 4\), 10; expected"
    ):
        stochastic_resnet(3, 10, "none", widths=(4, 4))
