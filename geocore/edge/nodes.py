"""What a quantised network is made of: each node's integers, grids and shapes.

A value is an array of integers ``n (height, width, channels)`` on a grid ``FixedPoint``; a vector
is one of height and width 1. A node reads the values of its ``sources`` by their nodes' names,
``IMAGES`` for the network's input, and gives one value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from geocore.edge.fixedpoint import FixedPoint

__all__ = [
    "IMAGES",
    "Add",
    "Concatenate",
    "Convolution",
    "Dense",
    "MaxPool",
    "Node",
    "Shape",
    "Upsample",
    "Weighted",
    "is_whole",
]

Shape = tuple[int, int, int]
IMAGES = "images"
_EXACT = 53  # bits of the integers that float64, which carries the reference, holds


def is_whole(value: object, least: int) -> bool:
    """A whole number that is not below ``least``; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


@dataclass(frozen=True)
class Node:
    """One operation. ``kind`` is its name in files."""

    name: str
    sources: tuple[str, ...]

    def __post_init__(self) -> None:
        name: object = self.name
        sources: object = self.sources
        if not isinstance(name, str) or not name:
            raise ValueError(f"a node's name is {name!r}; expected a word")
        if not isinstance(sources, tuple) or not all(isinstance(key, str) for key in sources):
            raise ValueError(f"sources of {name} are {sources!r}; expected a tuple of names")

    @property
    def kind(self) -> str:
        """``max_pool`` of ``MaxPool``."""
        name = type(self).__name__
        return "".join(
            f"_{c.lower()}" if c.isupper() and n else c.lower() for n, c in enumerate(name)
        )

    def shape(self, given: Sequence[Shape]) -> Shape:
        """The shape of what it gives. Raises ``ValueError`` for values that it does not take."""
        raise NotImplementedError

    def grid(self, given: Sequence[FixedPoint]) -> FixedPoint:
        """The grid of what it gives. Raises ``ValueError`` for grids that it does not take."""
        raise NotImplementedError

    def _one(self, given: Sequence[Shape]) -> Shape:
        if len(given) != 1:
            raise ValueError(f"{self.name} has {len(given)} sources; expected one")
        return given[0]

    def _image(self, shape: Shape) -> Shape:
        if min(shape) < 1:
            raise ValueError(
                f"{self.name} would give a value of shape {shape}; expected none empty"
            )
        return shape

    def _whole(self, what: str, value: object, least: int) -> None:
        if not is_whole(value, least):
            raise ValueError(
                f"{what} of {self.name} is {value!r}; expected a whole number from {least}"
            )


@dataclass(frozen=True)
class Weighted(Node):
    """``sum_i w_i x_i + b`` in integers, then onto the grid ``output``.

    ``weight`` is ``(out, in, height, width)`` of a convolution or ``(out, in)``; ``bias (out,)``
    lies on the accumulator's grid. All are int64. Onto ``output`` a sum is rounded to the nearest,
    ties to even, and saturates, so that an unsigned grid is a ReLU; without one the accumulator
    itself is given on: logits. Raises ``ValueError`` for sums that may reach ``2^53``: beyond, the
    reference, which carries integers in float64, would round.
    """

    weight: Tensor
    bias: Tensor
    weight_format: FixedPoint
    input: FixedPoint
    output: FixedPoint | None

    _axes: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.weight.dtype != torch.int64 or self.bias.dtype != torch.int64:
            found = f"{self.weight.dtype} and {self.bias.dtype}"
            raise ValueError(f"weight and bias of {self.name} are {found}; expected int64")
        if self.weight.ndim != self._axes or self.weight.numel() == 0:
            found = f"{tuple(self.weight.shape)}"
            raise ValueError(
                f"weight of {self.name} has shape {found}; expected {self._axes} axes, none empty"
            )
        if self.bias.shape != self.weight.shape[:1]:
            found = f"{tuple(self.bias.shape)}"
            raise ValueError(
                f"bias of {self.name} has shape {found}; expected ({len(self.weight)},)"
            )
        ends = int(self.weight.min()), int(self.weight.max())
        if ends[0] < self.weight_format.lowest or ends[1] > self.weight_format.highest:
            raise ValueError(
                f"weights of {self.name} go from {ends[0]} to {ends[1]}; expected what "
                f"{self.weight_format} holds"
            )
        largest = max(-self.input.lowest, self.input.highest)
        sums = self.weight.double().abs().flatten(1).sum(dim=1) * largest + self.bias.double().abs()
        if not float(sums.max()) < 2.0**_EXACT:
            raise ValueError(
                f"sums of {self.name} reach {float(sums.max()):.3g}; expected less than "
                f"2^{_EXACT}: fewer bits of weights or inputs"
            )

    @property
    def fraction(self) -> int:
        """Fractional bits of a product, and so of the accumulator: those of both factors."""
        return self.weight_format.fraction + self.input.fraction

    @property
    def bias_format(self) -> FixedPoint:
        """The narrowest format on the accumulator's grid that holds every bias."""
        return FixedPoint.covering(int(self.bias.min()), int(self.bias.max()), self.fraction)

    @property
    def accumulator(self) -> FixedPoint:
        """The narrowest format that no sum can leave, whatever the inputs and their order.

        With inputs in ``[l, h]``, ``l <= 0 <= h``, a sum of any of an output's products and its
        bias lies between all the negative terms at their worst and all the positive ones. The
        bounds are taken over the outputs; they are reached, so one bit less would wrap.
        """
        weight = self.weight.flatten(1)
        ends = torch.stack([weight * self.input.lowest, weight * self.input.highest])
        low = ends.amin(dim=0).clamp(max=0).sum(dim=1) + self.bias.clamp(max=0)
        high = ends.amax(dim=0).clamp(min=0).sum(dim=1) + self.bias.clamp(min=0)
        return FixedPoint.covering(int(low.min()), int(high.max()), self.fraction)

    @property
    def fan_in(self) -> int:
        """Products that make up one output."""
        return self.weight[0].numel()

    def grid(self, given: Sequence[FixedPoint]) -> FixedPoint:
        if tuple(given) != (self.input,):
            found = ", ".join(map(str, given))
            raise ValueError(f"{self.name} is given {found}; expected its input, {self.input}")
        return self.output or self.accumulator


@dataclass(frozen=True)
class Convolution(Weighted):
    """Of a value padded with zeros: ``padding`` rows above, below, columns left, right of it."""

    stride: int = 1
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)

    _axes: ClassVar[int] = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        self._whole("stride", self.stride, 1)
        padding: object = self.padding
        if not isinstance(padding, tuple) or len(padding) != 4:
            raise ValueError(f"padding of {self.name} is {padding!r}; expected a tuple of four")
        for number in padding:
            self._whole("padding", number, 0)

    def shape(self, given: Sequence[Shape]) -> Shape:
        height, width, channels = self._one(given)
        out, taken, *kernel = self.weight.shape
        if channels != taken:
            raise ValueError(f"{self.name} is given {channels} channels; expected {taken}")
        above, below, left, right = self.padding
        rows = (height + above + below - kernel[0]) // self.stride + 1
        columns = (width + left + right - kernel[1]) // self.stride + 1
        return self._image((rows, columns, out))


@dataclass(frozen=True)
class Dense(Weighted):
    """Of all of a value's numbers, channels last: the order in which a chip streams them."""

    def shape(self, given: Sequence[Shape]) -> Shape:
        height, width, channels = self._one(given)
        out, taken = self.weight.shape
        if height * width * channels != taken:
            raise ValueError(f"{self.name} is given {given[0]}; expected {taken} numbers")
        return (1, 1, out)


@dataclass(frozen=True)
class MaxPool(Node):
    """The largest of each ``size x size`` pixels, channel by channel; the rest is dropped."""

    size: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        self._whole("size", self.size, 1)

    def shape(self, given: Sequence[Shape]) -> Shape:
        height, width, channels = self._one(given)
        return self._image((height // self.size, width // self.size, channels))

    def grid(self, given: Sequence[FixedPoint]) -> FixedPoint:
        return given[0]


@dataclass(frozen=True)
class Upsample(Node):
    """Each pixel ``factor x factor`` times: nearest neighbours."""

    factor: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        self._whole("factor", self.factor, 1)

    def shape(self, given: Sequence[Shape]) -> Shape:
        height, width, channels = self._one(given)
        return (height * self.factor, width * self.factor, channels)

    def grid(self, given: Sequence[FixedPoint]) -> FixedPoint:
        return given[0]


@dataclass(frozen=True)
class Add(Node):
    """The sum of two values or more of one shape, exactly, then onto ``output`` as ``Weighted``."""

    output: FixedPoint

    def shape(self, given: Sequence[Shape]) -> Shape:
        if len(given) < 2 or len(set(given)) != 1:
            raise ValueError(
                f"{self.name} is given {list(given)}; expected two or more of one shape"
            )
        return given[0]

    def grid(self, given: Sequence[FixedPoint]) -> FixedPoint:
        fraction = max(grid.fraction for grid in given)
        wide = max(grid.bits + fraction - grid.fraction for grid in given)
        bits = wide + (len(given) - 1).bit_length()
        if bits > _EXACT:
            raise ValueError(
                f"{self.name} adds {', '.join(map(str, given))}, which takes {bits} bits; "
                f"expected at most {_EXACT}"
            )
        return self.output


@dataclass(frozen=True)
class Concatenate(Node):
    """The channels of two values or more, one after the other, each put onto ``output``."""

    output: FixedPoint

    def shape(self, given: Sequence[Shape]) -> Shape:
        if len(given) < 2 or len({shape[:2] for shape in given}) != 1:
            raise ValueError(
                f"{self.name} is given {list(given)}; expected two or more of one height and width"
            )
        return (*given[0][:2], sum(shape[2] for shape in given))

    def grid(self, given: Sequence[FixedPoint]) -> FixedPoint:
        return self.output
