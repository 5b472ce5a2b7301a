"""Small networks with random weights: perceptrons and convolutional networks, from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from geocore.models.stochastic.families import Activation, Family, Layers, activation_named, draw

__all__ = ["stochastic_cnn", "stochastic_mlp"]


def stochastic_mlp(
    widths: Sequence[int],
    family: Family,
    p: float = 0.1,
    *,
    activation: Activation = "relu",
    rescale: bool = True,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> nn.Sequential:
    """``W_L s(... s(W_1 x + b_1) ...) + b_L``: ``(batch, widths[0]) -> (batch, widths[-1])``.

    Linear maps and nonlinearities ``s`` by turns. With the families "dropout" and "dropconnect"
    all maps but the first are random, with "nonparametric" all are, with "none" none is (``p`` and
    ``rescale`` are not used by the last two). The toy of arXiv:2212.08123 is ``(2, 10, 10, 2)``.
    Weights follow from ``seed`` alone; those of another dtype are the same ones, rounded. Raises
    ``ValueError`` for fewer than two widths, or fewer than three where the first map is not random,
    and for an unknown family or activation.
    """
    fewest = 3 if family in ("dropout", "dropconnect") else 2
    if len(widths) < fewest or min(widths) < 1:
        raise ValueError(
            f"widths is {tuple(widths)}; expected at least {fewest} positive integers "
            f"for family {family!r}"
        )
    layers = Layers(family, p, rescale)
    parts: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        parts += [layers.linear(inputs, outputs), activation_named(activation)]
    return _drawn(nn.Sequential(*parts[:-1]), seed, dtype)


def stochastic_cnn(
    channels: int,
    edge: int,
    classes: int,
    family: Family,
    p: float = 0.1,
    *,
    widths: Sequence[int] = (16, 32),
    hidden: int | None = None,
    activation: Activation = "relu",
    rescale: bool = True,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> nn.Sequential:
    """Two 3x3 convolutions, each with nonlinearity and 2x2 maximum, then one or two linear maps.

    ``(batch, channels, edge, edge) -> (batch, classes)``, edges from 4 up, meant for 8 to 32.
    ``hidden`` is the width between two linear maps; without it there is one. Which layers are
    random, weights and errors: as ``stochastic_mlp``.
    """
    if len(widths) != 2 or min(*widths, channels, classes) < 1:
        found = f"{channels}, {tuple(widths)}, {classes}"
        raise ValueError(
            f"channels, widths, classes are {found}; expected positive integers, two widths"
        )
    if edge < 4:
        raise ValueError(f"edge is {edge}; expected at least 4")
    if hidden is not None and hidden < 1:
        raise ValueError(f"hidden is {hidden}; expected a positive integer or None")
    layers = Layers(family, p, rescale)
    parts: list[nn.Module] = []
    for inputs, outputs in ((channels, widths[0]), (widths[0], widths[1])):
        convolution = layers.convolution(inputs, outputs)
        parts += [convolution, activation_named(activation), nn.MaxPool2d(2)]
    parts.append(nn.Flatten())
    features = widths[1] * (edge // 2 // 2) ** 2
    if hidden is not None:
        parts += [layers.linear(features, hidden), activation_named(activation)]
        features = hidden
    parts.append(layers.linear(features, classes))
    return _drawn(nn.Sequential(*parts), seed, dtype)


def _drawn(model: nn.Sequential, seed: int, dtype: torch.dtype) -> nn.Sequential:
    draw(model, seed)
    return model.to(dtype)
