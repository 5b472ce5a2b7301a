"""Perceptrons with tanh, whose weights neither grow nor shrink a signal at the start."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

__all__ = ["parted", "tanh_network"]


def tanh_network(widths: Sequence[int], seed: int, *, bounded: bool = False) -> nn.Sequential:
    """``x -> W_k tanh(... tanh(W_1 x + b_1) ...) + b_k``; ``bounded``: tanh of that too.

    ``widths`` are of inputs, hidden layers, outputs. Weights ``N(0, 1 / fan-in)``, biases 0, drawn
    from ``seed`` in this order. Raises ``ValueError`` for fewer than two widths, or one below 1.
    """
    if len(widths) < 2 or min(widths) < 1:
        raise ValueError(f"widths are {list(widths)}; expected at least two, each at least 1")
    generator = torch.Generator().manual_seed(seed)
    layers: list[nn.Module] = []
    for fan_in, out in pairwise(widths):
        linear = nn.Linear(fan_in, out)
        nn.init.normal_(linear.weight, std=fan_in**-0.5, generator=generator)
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.Tanh()]
    return nn.Sequential(*(layers if bounded else layers[:-1]))


def parted(network: nn.Sequential, layers: int) -> tuple[nn.Sequential, nn.Sequential]:
    """``network = second . first``, of which the first has so many layers; both share its weights.

    Of a network of ``tanh_network``. Raises ``ValueError`` where either would have none.
    """
    parts = list(network)
    count = (len(parts) + 1) // 2
    if not 1 <= layers < count:
        raise ValueError(f"layers is {layers}; expected 1 to {count - 1} of {count}")
    return nn.Sequential(*parts[: 2 * layers]), nn.Sequential(*parts[2 * layers :])
