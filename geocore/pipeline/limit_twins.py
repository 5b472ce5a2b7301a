"""Kernels of finite networks, drawn many times: what the infinitely wide one is the mean of."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from geocore.kernels.composed import InfiniteNetwork, Kernels
from geocore.kernels.empirical import empirical_ntk
from geocore.kernels.twins import finite_twin

__all__ = ["drawn_kernels", "smooth_images"]


def smooth_images(count: int, size: int, seed: int) -> Tensor:
    """Sums of four waves of the longest wavelengths: ``(count, 1, size, size)`` float64.

    Neighbouring pixels are alike, so that kernels of different positions are far from 0: a mean
    over positions that goes wrong shows.
    """
    generator = torch.Generator().manual_seed(seed)
    draws = torch.rand(4, count, 3, 1, 1, dtype=torch.float64, generator=generator)
    places = torch.arange(size, dtype=torch.float64) / size
    y, x = places[:, None], places[None, :]
    images = torch.ones(count, size, size, dtype=torch.float64)
    for wave in draws:
        along, across, phase = wave.unbind(dim=1)
        turns = (2 * along - 1) * x + (2 * across - 1) * y + phase
        images = images + 0.5 * (2 * math.pi * turns).sin()
    return images[:, None]


def drawn_kernels(
    network: InfiniteNetwork, x: Tensor, width: int, draws: int, seed: int
) -> Kernels:
    """Of ``draws`` finite twins their empirical kernels, ``(draws, n, n)`` each, float64.

    The tangent kernel is ``J J^T`` over all weights. That over the read-out's alone is the scalar
    product of the last hidden layer's features, whose mean is the NNGP. Computed in float32.
    """
    generator = torch.Generator().manual_seed(seed)
    asked = x.float()
    found: list[Tensor] = []
    for _ in range(draws):
        twin = finite_twin(
            network, tuple(x.shape[1:]), width, generator=generator, dtype=torch.float32
        )
        ntk = empirical_ntk(twin, asked, form="trace", method="autograd")
        found += [empirical_ntk(_read_out_alone(twin), asked, form="trace"), ntk]
    stacked = torch.stack(found).double().unflatten(0, (draws, 2))
    return Kernels(stacked[:, 0], stacked[:, 1])


def _read_out_alone(twin: nn.Module) -> nn.Module:
    last = [layer for layer in twin.modules() if any(True for _ in layer.parameters(recurse=False))]
    twin.requires_grad_(False)
    last[-1].requires_grad_(True)
    return twin
