"""Kernels against the mean over finite networks of random weights, by fixed seeds."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from geocore.groups.finite import PlanarGroup
from geocore.kernels.composed import InfiniteNetwork, Residual, serial
from geocore.kernels.convolution import Convolution
from geocore.kernels.group_layers import GroupConvolution, GroupPool, LiftingConvolution
from geocore.kernels.layers import (
    AveragePool,
    Dense,
    Erf,
    Flatten,
    Gelu,
    GlobalAveragePool,
    LayerNorm,
    LeakyRelu,
    Relu,
)
from geocore.kernels.twins import finite_twin

WIDTH = 96
DRAWS = {"C4": 24, "D2": 24, "C8": 60, "convolution": 80}  # of others, which cost less, 120


def smooth(size: int, channels: int = 2) -> Tensor:
    """Two images without noise, where wrong recursions differ most."""
    h, w = torch.meshgrid(*[torch.arange(size, dtype=torch.float64)] * 2, indexing="ij")
    waves = [torch.sin(1 + 0.6 * h + 0.9 * w + 0.7 * c) + 0.5 for c in range(channels)]
    others = [torch.cos(0.2 - 0.5 * h + 0.3 * w + 0.4 * c) for c in range(channels)]
    return torch.stack([torch.stack(waves), torch.stack(others)])


def measured(network: InfiniteNetwork, x: Tensor, draws: int, seed: int) -> tuple[Tensor, Tensor]:
    """Each draw's NNGP and tangent kernel, ``(draws, 2, 2)``.

    The NNGP is ``E f(x) f(x')`` over the last weights, ``s^2 h h' / width + b^2``: that mean need
    not be drawn.
    """
    generator = torch.Generator().manual_seed(seed)
    last = network.layers[-1]
    assert isinstance(last, Dense)
    nngp, ntk = [], []
    for _ in range(draws):
        twin = finite_twin(network, tuple(x.shape[1:]), WIDTH, generator=generator)
        assert isinstance(twin, torch.nn.Sequential)
        hidden = twin[:-1](x)
        values, weights = twin[-1](hidden)[:, 0], list(twin.parameters())
        gradients = [
            torch.cat([g.flatten() for g in torch.autograd.grad(v, weights, retain_graph=True)])
            for v in values
        ]
        jacobian, features = torch.stack(gradients), hidden.detach()
        product = features @ features.T / features.shape[1]
        nngp.append(last.weight_std**2 * product + last.bias_std**2)
        ntk.append(jacobian @ jacobian.T)
    return torch.stack(nngp), torch.stack(ntk)


C4, D2, C8 = PlanarGroup(4), PlanarGroup(2, reflections=True), PlanarGroup(8)

NETWORKS = {
    "dense": serial(
        Flatten(), Dense(bias_std=0.3), Relu(), Dense(weight_std=1.4), LayerNorm(), Gelu(), Dense()
    ),
    "convolution": serial(
        Convolution(3, stride=2, weight_std=1.3),
        LeakyRelu(0.2),
        Convolution(3, padding="circular", bias_std=0.2),
        Erf(),
        Flatten(),
        Dense(),
    ),
    "pools": serial(
        Convolution(3, padding="valid"),
        Residual(Relu(), Convolution(3, padding="circular")),
        AveragePool(2),
        Relu(),
        GlobalAveragePool(),
        Dense(),
        Relu(),
        Dense(bias_std=0.5),
    ),
    "lift": serial(
        LiftingConvolution(3, padding="circular", group=C4),
        Relu(),
        GroupPool(),
        GlobalAveragePool(),
        Dense(),
    ),
    "C4": serial(
        LiftingConvolution(3, padding="same", group=C4),
        Relu(),
        GroupConvolution(3, padding="same", bias_std=0.2),
        Relu(),
        GroupPool(),
        Flatten(),
        Dense(),
    ),
    "D2": serial(
        LiftingConvolution(3, padding="circular", group=D2),
        Relu(),
        GroupConvolution(3, padding="circular"),
        Erf(),
        GroupPool(),
        GlobalAveragePool(),
        Dense(),
    ),
    "C8": serial(
        LiftingConvolution(3, padding="circular", group=C8),
        Relu(),
        GroupConvolution(3, padding="circular", rotation_support=False),
        Relu(),
        GlobalAveragePool(),
        GroupPool(),
        Dense(),
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_finite_networks_have_the_kernels_on_average(name: str) -> None:
    network, x = NETWORKS[name], smooth(4)
    kernels = network.kernel(x)
    draws = DRAWS.get(name, 120)
    both = measured(network, x, draws, seed=3)
    for kind, found, expected in zip(("nngp", "ntk"), both, kernels, strict=True):
        error = found.mean(0) - expected
        standard = found.std(0) / draws**0.5
        assert (error.abs() <= 3 * standard).all(), f"{kind}: {error / standard} standard errors"
        assert (error.abs() <= 0.05 * expected.abs()).all(), f"{kind}: {error / expected}"


def test_twin_of_a_residual_with_other_channels_is_refused() -> None:
    network = serial(Residual(Convolution(3)), Relu(), GlobalAveragePool(), Dense())
    with pytest.raises(ValueError, match="have 5 and 3 channels"):
        finite_twin(network, (3, 4, 4), 5)


def test_a_window_around_the_torus_twice() -> None:
    network = serial(Convolution(7, padding="circular"), GlobalAveragePool(), Dense())
    with pytest.raises(ValueError, match="kernel_size is 7 on 2 pixels of a torus; expected at mo"):
        finite_twin(network, (1, 2, 2), 4)
    smaller = serial(Convolution(5, padding="circular"), GlobalAveragePool(), Dense())
    assert finite_twin(smaller, (1, 2, 2), 4)(torch.ones(1, 1, 2, 2).double()).shape == (1, 1)
