"""Initial weights from a seed alone."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import nn

__all__ = ["HasTables", "initialise"]


@runtime_checkable
class HasTables(Protocol):
    """A module that draws parameters of its own, or some of its parts' anew."""

    def initialise(self, generator: torch.Generator) -> None:
        """Draw them from ``generator``; its parts have been drawn."""


def initialise(model: nn.Module, seed: int) -> None:
    """Draw all of the model's parameters from one generator with this seed.

    Linear maps: normal with variance 1 / fan-in, cut at two standard deviations, biases zero. At
    the few channels of a small network the usual 0.02 leaves the residual branches nearly silent:
    on the digits it needs many times the steps. Norms start at one and zero.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in reversed(list(model.modules())):  # parts before what they are part of
        if isinstance(module, nn.Linear):
            std = module.in_features**-0.5
            cut = {"a": -2 * std, "b": 2 * std}
            nn.init.trunc_normal_(module.weight, std=std, **cut, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            module.reset_parameters()
        elif isinstance(module, HasTables):
            module.initialise(generator)
