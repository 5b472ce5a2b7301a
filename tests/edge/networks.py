"""Quantised networks with random integers: every kind of node, and none that was trained."""

from __future__ import annotations

import torch
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
    Upsample,
)

__all__ = ["PLAIN", "SIGNED", "WEIGHT", "branched", "random_images", "tiny"]

SIGNED = FixedPoint(4, 1, signed=True)
PLAIN = FixedPoint(3, 1, signed=False)
WEIGHT = FixedPoint(4, 2, signed=True)


def branched(seed: int = 0) -> QuantisedModel:
    """Strides and paddings, numbers of both signs, two ways that part and meet twice, a fork of
    three, both kinds of dense nodes.
    """
    generator = torch.Generator().manual_seed(seed)

    def integers(low: int, high: int, *shape: int) -> Tensor:
        return torch.randint(low, high, shape, generator=generator)

    def convolution(
        name: str, source: str, given: FixedPoint, out: FixedPoint, shape: tuple[int, ...],
        stride: int = 1, padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    ) -> Convolution:  # fmt: skip
        weight, bias = integers(-7, 8, *shape), integers(-20, 20, shape[0])
        return Convolution(name, (source,), weight, bias, WEIGHT, given, out, stride, padding)

    def dense(
        name: str, source: str, given: FixedPoint, out: FixedPoint | None, *shape: int
    ) -> Dense:
        weight, bias = integers(-7, 8, *shape), integers(-20, 20, shape[0])
        return Dense(name, (source,), weight, bias, WEIGHT, given, out)

    wide = FixedPoint(5, 1, signed=True)
    return QuantisedModel(
        (6, 8, 2),
        SIGNED,
        (
            convolution("halved", IMAGES, SIGNED, PLAIN, (3, 2, 3, 2), 2, (1, 0, 0, 1)),
            MaxPool("pooled", (IMAGES,)),
            Concatenate("met", ("halved", "pooled"), wide),
            convolution("same", "met", wide, wide, (5, 5, 3, 3), 1, (1, 1, 1, 1)),
            Add("sum", ("same", "met"), FixedPoint(4, 0, signed=True)),
            Upsample("back", ("sum",)),
            convolution("point", "back", FixedPoint(4, 0, signed=True), PLAIN, (3, 5, 1, 1)),
            MaxPool("small", ("point",), size=3),
            dense("first", "small", PLAIN, PLAIN, 7, 12),
            dense("last", "first", PLAIN, None, 3, 7),
        ),
    )  # fmt: skip


def tiny(seed: int = 0) -> QuantisedModel:
    """One convolution."""
    weight = torch.randint(-7, 8, (2, 2, 3, 3), generator=torch.Generator().manual_seed(seed))
    bias = torch.tensor([3, -4])
    node = Convolution("convolution", (IMAGES,), weight, bias, WEIGHT, PLAIN, PLAIN)
    return QuantisedModel((4, 5, 2), PLAIN, (node,))


def random_images(model: QuantisedModel, count: int, seed: int = 1) -> Tensor:
    """Numbers on all of the input's grid, its ends first."""
    generator = torch.Generator().manual_seed(seed)
    low, high = model.input.lowest, model.input.highest
    integers = torch.randint(low, high + 1, (count, *model.shape), generator=generator)
    integers[0], integers[1] = low, high
    return integers * model.input.step
