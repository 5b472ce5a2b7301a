"""Equivariant detection heads: what lies where, from the fields of a planar equivariant network.

Scores, classes and sizes are scalars, which move with the image alone; what points from a pixel to
a thing's centre is a vector, which turns as well; how far a box is wider than high is a component
of a tensor, whose sign a quarter turn changes. So the boxes found in a turned image are the turned
boxes: the second application of the survey 2105.13926.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from geocore.groups.finite import PlanarGroup
from geocore.groups.steerable import SteerableConvolution
from geocore.groups.steerable_fields import Feature, Fields

__all__ = ["Detector", "HeadLayout", "Predictions", "RegularHead", "SteerableHead"]

_RARE = 0.05  # how likely a pixel is a thing's before anything is learned


class Predictions(NamedTuple):
    """What a detector says at each pixel of its output, ``(batch, ..., h, w)``.

    ``objectness`` and ``classes (batch, classes, h, w)`` are logits. ``offset (batch, 2, h, w)``
    leads to the centre, x to the right and y up, in pixels of the image. ``size`` is its logarithm,
    in pixels. ``stretch`` is half the logarithm of width / height, None where masks are meant.
    """

    objectness: Tensor
    classes: Tensor
    offset: Tensor
    size: Tensor
    stretch: Tensor | None


@dataclass(frozen=True)
class HeadLayout:
    """The channels of a head: ``2 + classes`` scalars, a vector, for boxes a tensor.

    ``kind`` is ``box`` (class, centre, height and width) or ``mask`` (class, the mask's centre and
    its size): the second obeys every rotation, the first those that turn boxes into boxes. Raises
    ``ValueError`` for another kind and for no classes.
    """

    kind: str
    classes: int

    def __post_init__(self) -> None:
        if self.kind not in ("box", "mask"):
            raise ValueError(f"kind is {self.kind!r}; expected 'box' or 'mask'")
        if self.classes < 1:
            raise ValueError(f"classes is {self.classes}; expected at least 1")

    @property
    def scalars(self) -> int:
        """Objectness, size, and a logit a class."""
        return 2 + self.classes

    @property
    def features(self) -> tuple[Feature, ...]:
        """The same as features of a steerable layer."""
        turning = ("vector", "tensor") if self.kind == "box" else ("vector",)
        return (Feature("trivial", self.scalars), *(Feature(kind) for kind in turning))


class RegularHead(nn.Module):
    """``out(p) = sum_g rho(g) u f(g, p)``: functions of group and place to the fields of a layout.

    ``(batch, in_channels, order, h, w)`` -> ``(batch, channels, h, w)``; ``u`` is learned for each
    channel and each scalar, vector and tensor. ``rho`` is 1, the matrix of g, and that of twice its
    angle. Weights are normal with variance ``1 / (in_channels order)``, from ``generator``.
    """

    def __init__(
        self,
        group: PlanarGroup,
        in_channels: int,
        layout: HeadLayout,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if in_channels < 1:
            raise ValueError(f"in_channels is {in_channels}; expected at least 1")
        self.group, self.in_channels, self.layout = group, in_channels, layout
        scalars, boxes = layout.scalars, layout.kind == "box"
        vector = torch.stack([group.matrix(g) for g in group])
        blocks = [torch.eye(scalars, dtype=torch.float64).expand(group.order, -1, -1), vector]
        if boxes:
            blocks.append(torch.stack([_doubled(one) for one in vector]))
        turns = torch.stack([torch.block_diag(*each) for each in zip(*blocks, strict=True)])
        self.register_buffer("turns", turns, persistent=False)
        drawn = torch.randn(turns.shape[1], in_channels, generator=generator)
        self.weight = nn.Parameter(drawn / math.sqrt(in_channels * group.order))
        self.bias = nn.Parameter(_biases(scalars))

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 5 or tuple(x.shape[1:3]) != (self.in_channels, self.group.order):
            wanted = f"{self.in_channels}, {self.group.order}"
            raise ValueError(f"x has shape {tuple(x.shape)}; expected (batch, {wanted}, h, w)")
        turns = self.get_buffer("turns").to(self.weight)
        found = torch.einsum("gij,jc,bcgxy->bixy", turns, self.weight, x)
        scalars = self.layout.scalars
        shifted = found[:, :scalars] + self.bias[:, None, None]
        return torch.cat([shifted, found[:, scalars:]], dim=1)


class SteerableHead(nn.Module):
    """A steerable convolution from ``fields`` to those of a layout, ``(batch, channels, h, w)``.

    Needs escnn. Raises ``ValueError`` where no kernel of that size reaches a field.
    """

    def __init__(
        self,
        fields: Fields,
        layout: HeadLayout,
        kernel_size: int = 3,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.layout = layout
        self.convolution = SteerableConvolution(
            fields,
            Fields(fields.symmetry, layout.features),
            kernel_size,
            generator=generator,
            dtype=dtype,
        )
        with torch.no_grad():
            for weights in self.convolution.weights.values():
                weights.mul_(math.sqrt(0.5))  # nothing is cut off after it
            self.convolution.biases["0"].copy_(_biases(layout.scalars))

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.convolution(x)
        return found


class Detector(nn.Module):
    """``detector(g f) = g detector(f)`` with ``backbone`` and ``head``: ``Predictions`` a pixel.

    ``(batch, channels, height, width)`` images; ``backbone`` gives what ``head`` takes, on a grid
    whose middle is the image's and whose pixels are ``stride`` of the image's apart. ``typical`` is
    a thing's size in pixels before anything is learned, and the unit of offsets.
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: RegularHead | SteerableHead,
        stride: int = 1,
        typical: float = 8.0,
    ) -> None:
        super().__init__()
        if stride < 1:
            raise ValueError(f"stride is {stride}; expected at least 1")
        if typical <= 0:
            raise ValueError(f"typical is {typical}; expected a positive number of pixels")
        self.backbone, self.head = backbone, head
        self.stride, self.typical = stride, typical

    @property
    def layout(self) -> HeadLayout:
        """What its channels are."""
        return self.head.layout

    def forward(self, images: Tensor) -> Predictions:
        channels = self.head(self.backbone(images))
        scalars = self.layout.scalars
        boxes = self.layout.kind == "box"
        return Predictions(
            objectness=channels[:, 0],
            classes=channels[:, 2:scalars],
            offset=self.typical * channels[:, scalars : scalars + 2],
            size=channels[:, 1] + math.log(self.typical),
            stretch=channels[:, scalars + 2] if boxes else None,
        )


def _doubled(matrix: Tensor) -> Tensor:
    """How ``(xx - yy, 2 xy)`` turns where points turn by ``matrix``."""
    (a, b), (c, d) = matrix.tolist()
    rows = [[a * a - c * c, a * b - c * d], [2 * a * c, a * d + b * c]]
    return torch.tensor(rows, dtype=torch.float64)


def _biases(scalars: int) -> Tensor:
    """Logits so that things are rare at first, as focal losses want it; else 0."""
    bias = torch.zeros(scalars)
    bias[0] = -math.log(1 / _RARE - 1)
    return bias
