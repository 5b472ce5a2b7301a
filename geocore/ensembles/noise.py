"""The random numbers that a stochastic member draws, from its own seed and the step alone."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from geocore.models.stochastic.layer import StochasticLayer

__all__ = ["Noise", "Use", "noise_count", "put_noise", "shares", "stochastic_layers"]

Use = Literal["training", "validation", "prediction"]

_NOISE = 4  # the stream of a seed that noise is drawn from
_USES: dict[Use, int] = {"training": 0, "validation": 1, "prediction": 2}
_BLOCK = 2**18  # numbers that a generator draws at once: seeding one costs as much as a thousand


def stochastic_layers(model: nn.Module) -> list[StochasticLayer]:
    """The layers of a network that draw weights anew for each sample, in their order."""
    return [layer for layer in model.modules() if isinstance(layer, StochasticLayer)]


class Noise:
    """Uniform numbers in [0, 1) for members of these seeds: ``(members, batch, count)`` a step.

    Those of a member follow from its seed, the use, the step and the largest batch, not from who
    else is there, nor from the steps before: nothing has to be kept to go on after a kill.
    """

    def __init__(self, seeds: Sequence[int], use: Use, batch: int, count: int) -> None:
        self._seeds, self._use, self._shape = tuple(seeds), _USES[use], (batch, count)
        self._steps = max(1, _BLOCK // max(1, batch * count))
        self._held: dict[int, tuple[int, Tensor]] = {}

    def __call__(self, member: int, step: int, batch: int) -> Tensor:
        """Of one member, ``(batch, count)`` float32."""
        block, place = divmod(step, self._steps)
        held = self._held.get(member)
        if held is None or held[0] != block:
            state = np.random.SeedSequence([_NOISE, self._use, self._seeds[member], block])
            generator = torch.Generator().manual_seed(int(state.generate_state(1)[0]))
            held = block, torch.rand(self._steps, *self._shape, generator=generator)
            if self._steps > 1:  # a block of one step is large, and not asked for again
                self._held[member] = held
        return held[1][place, :batch]

    def stacked(self, members: range, step: int, batch: int) -> Tensor:
        """Of several, ``(members, batch, count)``."""
        return torch.stack([self(member, step, batch) for member in members])


def put_noise(layers: Sequence[StochasticLayer], noise: Tensor | None) -> None:
    """Hand each layer its share of ``(batch, count)``, or take it back (None)."""
    if noise is None:
        for layer in layers:
            layer.noise = None
        return
    for layer, share in zip(layers, shares(layers, noise), strict=True):
        layer.noise = share


def noise_count(layers: Sequence[StochasticLayer]) -> int:
    """The uniform numbers that a sample takes of all of them."""
    return sum(prod(layer.noise_shape) for layer in layers)


def shares(layers: Sequence[StochasticLayer], noise: Tensor) -> list[Tensor]:
    """``(..., count)`` cut into ``(..., *layer.noise_shape)`` a layer."""
    sizes = [prod(layer.noise_shape) for layer in layers]
    parts = noise.split(sizes, dim=-1)
    return [
        part.reshape(*noise.shape[:-1], *layer.noise_shape)
        for part, layer in zip(parts, layers, strict=True)
    ]
