"""Layers by the name of their family, and initial weights that families share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import nn

from geocore.models.stochastic.convolution import (
    DropConnectConv2d,
    DropoutConv2d,
    NonparametricConv2d,
)
from geocore.models.stochastic.layer import StochasticLayer
from geocore.models.stochastic.linear import (
    DropConnectLinear,
    DropoutLinear,
    NonparametricLinear,
)

__all__ = ["Activation", "Family", "Layers", "activation_named", "draw"]

Activation = Literal["relu", "tanh", "silu", "gelu"]
Family = Literal["none", "dropout", "dropconnect", "nonparametric"]

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
}


class Layers:
    """Makes a network's layers, input first: plain ones of the family "none".

    Of "dropout" and "dropconnect" all layers but the first are random: what is dropped are hidden
    units and what leaves them, never pixels or coordinates. Of "nonparametric" all are; ``p`` and
    ``rescale`` are not used there. Layers are float64 until ``draw`` has filled them. Raises
    ``ValueError`` for a family that is none, and for ``p`` outside [0, 1).
    """

    def __init__(self, family: Family, p: float, rescale: bool) -> None:
        if family not in get_args(Family):
            raise ValueError(f"family is {family!r}; expected one of {', '.join(get_args(Family))}")
        if not 0 <= p < 1:
            raise ValueError(f"p is {p}; expected at least 0 and below 1")
        self.family, self.p, self.rescale = family, p, rescale
        self._made = 0

    def linear(self, inputs: int, outputs: int) -> nn.Module:
        """A linear map with bias."""
        family, dtype = self._next(), torch.float64
        if family == "dropout":
            return DropoutLinear(inputs, outputs, self.p, self.rescale, dtype=dtype)
        if family == "dropconnect":
            return DropConnectLinear(inputs, outputs, self.p, self.rescale, dtype=dtype)
        if family == "nonparametric":
            return NonparametricLinear(inputs, outputs, dtype=dtype)
        return nn.Linear(inputs, outputs, dtype=dtype)

    def convolution(
        self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, bias: bool = True
    ) -> nn.Module:
        """A convolution padded to keep the size of the image, up to its stride."""
        family, dtype, pad, s = self._next(), torch.float64, kernel // 2, stride
        shape, p, r = (inputs, outputs, kernel), self.p, self.rescale
        if family == "dropout":
            return DropoutConv2d(*shape, p, r, stride=s, padding=pad, bias=bias, dtype=dtype)
        if family == "dropconnect":
            return DropConnectConv2d(*shape, p, r, stride=s, padding=pad, bias=bias, dtype=dtype)
        if family == "nonparametric":
            return NonparametricConv2d(*shape, stride=s, padding=pad, bias=bias, dtype=dtype)
        return nn.Conv2d(*shape, stride=s, padding=pad, bias=bias, dtype=dtype)

    def _next(self) -> Family:
        self._made += 1
        drops = self.family in ("dropout", "dropconnect")
        return "none" if drops and self._made == 1 else self.family


def activation_named(name: Activation) -> nn.Module:
    """The nonlinearity as a module. Raises ``ValueError`` for a name that is none."""
    if name not in _ACTIVATIONS:
        raise ValueError(f"activation is {name!r}; expected one of {', '.join(_ACTIVATIONS)}")
    return _ACTIVATIONS[name]()


def draw(model: nn.Module, seed: int) -> None:
    """Normal weights of variance 1 / fan-in, cut at two standard deviations; biases zero.

    The law of ``geocore.models.initialise``, for convolutions too, from one generator in the order
    of ``model.modules()``: networks of one seed and of the families "none", "dropout" and
    "dropconnect" start alike. Norms stay as they are, at one and zero.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, StochasticLayer):
            module.initialise(generator)
        elif isinstance(module, nn.Linear | nn.Conv2d):
            std = module.weight[0].numel() ** -0.5
            cut = {"a": -2 * std, "b": 2 * std}
            nn.init.trunc_normal_(module.weight, std=std, **cut, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
