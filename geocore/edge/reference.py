"""The quantised network in plain torch: the truth that a chip's every bit is held against."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from geocore.edge.description import QuantisedModel
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.nodes import (
    IMAGES,
    Add,
    Concatenate,
    Convolution,
    Dense,
    MaxPool,
    Node,
    Upsample,
    Weighted,
)

__all__ = ["reference_integers", "reference_logits"]


def reference_integers(model: QuantisedModel, images: Tensor) -> dict[str, Tensor]:
    """What each node gives, int64 ``(n, height, width, channels)``, by its name; images too.

    Of ``images (n, height, width, channels)`` as numbers. Integers are carried by float64, which is
    exact up to 2^53; accumulators are far narrower. Rounding is to the nearest, ties to even, and
    what a grid does not hold saturates.
    """
    if images.shape[1:] != model.shape:
        raise ValueError(f"images are {tuple(images.shape[1:])}; expected {model.shape}")
    found = {IMAGES: model.input.quantise(images)}
    for node in model.nodes:
        values = [found[source].double() for source in node.sources]
        grids = [model.grids[source] for source in node.sources]
        found[node.name] = _given(node, values, grids).long()
    return found


def reference_logits(model: QuantisedModel, images: Tensor) -> Tensor:
    """The network's value as numbers, float64: logits ``(n, classes)``, ``(n, h, w, classes)``."""
    last = model.nodes[-1].name
    values = reference_integers(model, images)[last].double() * model.grids[last].step
    return values.flatten(1) if model.shapes[last][:2] == (1, 1) else values


def _given(node: Node, values: Sequence[Tensor], grids: Sequence[FixedPoint]) -> Tensor:
    if isinstance(node, Weighted):
        sums = _sums(node, values[0])
        if node.output is None:
            return sums
        return node.output.quantise(sums * 2.0**-node.fraction)
    if isinstance(node, MaxPool):
        return _channels_last(F.max_pool2d(_channels_first(values[0]), node.size))
    if isinstance(node, Upsample):
        return values[0].repeat_interleave(node.factor, 1).repeat_interleave(node.factor, 2)
    numbers = [value * grid.step for value, grid in zip(values, grids, strict=True)]
    if isinstance(node, Add):
        return node.output.quantise(torch.stack(numbers).sum(dim=0))
    if isinstance(node, Concatenate):
        return node.output.quantise(torch.cat(numbers, dim=-1))
    raise ValueError(f"{node.name} is a {type(node).__name__}; expected a node of this package")


def _sums(node: Weighted, value: Tensor) -> Tensor:
    weight, bias = node.weight.double(), node.bias.double()
    if isinstance(node, Dense):
        return F.linear(value.flatten(1), weight, bias)[:, None, None]
    assert isinstance(node, Convolution)
    above, below, left, right = node.padding
    padded = F.pad(_channels_first(value), (left, right, above, below))
    return _channels_last(F.conv2d(padded, weight, bias, stride=node.stride))


def _channels_first(value: Tensor) -> Tensor:
    return value.permute(0, 3, 1, 2)


def _channels_last(value: Tensor) -> Tensor:
    return value.permute(0, 2, 3, 1)
