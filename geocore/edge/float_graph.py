"""A network as a graph of the operations that a chip knows, still in floating point.

The nodes mirror those of ``geocore.edge.nodes``: ``MaxPool`` and ``Upsample`` are the same, the
others hold float weights instead of integers on grids. Batch norms are inside the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from geocore.edge.nodes import IMAGES, MaxPool, Node, Shape, Upsample

__all__ = [
    "FloatAdd",
    "FloatConcatenate",
    "FloatConvolution",
    "FloatDense",
    "FloatGraph",
    "FloatWeighted",
    "evaluate",
]


@dataclass(frozen=True, eq=False)
class FloatWeighted(Node):
    """``sum_i w_i x_i + b``, and the larger of that and 0 with ``relu``.

    ``weight`` is ``(out, in, height, width)`` of a convolution or ``(out, in)``, ``bias (out,)``;
    both are float64.
    """

    weight: Tensor
    bias: Tensor
    relu: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        found = {self.weight.dtype, self.bias.dtype}
        if found != {torch.float64}:
            raise ValueError(f"weight and bias of {self.name} are {found}; expected float64")
        if self.bias.shape != self.weight.shape[:1]:
            raise ValueError(
                f"bias of {self.name} has shape {tuple(self.bias.shape)}; "
                f"expected ({len(self.weight)},)"
            )
        if not (self.weight.isfinite().all() and self.bias.isfinite().all()):
            raise ValueError(f"weight or bias of {self.name} is not finite; expected numbers")


@dataclass(frozen=True, eq=False)
class FloatConvolution(FloatWeighted):
    """Of a value padded with zeros: ``padding`` rows above, below, columns left, right of it."""

    stride: int = 1
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)

    def shape(self, given: Sequence[Shape]) -> Shape:
        height, width, channels = self._one(given)
        out, taken, *kernel = self.weight.shape
        if channels != taken:
            raise ValueError(f"{self.name} is given {channels} channels; expected {taken}")
        above, below, left, right = self.padding
        rows = (height + above + below - kernel[0]) // self.stride + 1
        columns = (width + left + right - kernel[1]) // self.stride + 1
        return self._image((rows, columns, out))


@dataclass(frozen=True, eq=False)
class FloatDense(FloatWeighted):
    """Of all of a value's numbers, channels last: the order in which a chip streams them."""

    def shape(self, given: Sequence[Shape]) -> Shape:
        height, width, channels = self._one(given)
        out, taken = self.weight.shape
        if height * width * channels != taken:
            raise ValueError(f"{self.name} is given {given[0]}; expected {taken} numbers")
        return (1, 1, out)


@dataclass(frozen=True)
class FloatAdd(Node):
    """The sum of two values or more of one shape, and the larger of that and 0 with ``relu``."""

    relu: bool = False

    def shape(self, given: Sequence[Shape]) -> Shape:
        if len(given) < 2 or len(set(given)) != 1:
            raise ValueError(
                f"{self.name} is given {list(given)}; expected two or more of one shape"
            )
        return given[0]


@dataclass(frozen=True)
class FloatConcatenate(Node):
    """The channels of two values or more, one after the other; none below 0 with ``relu``."""

    relu: bool = False

    def shape(self, given: Sequence[Shape]) -> Shape:
        if len(given) < 2 or len({shape[:2] for shape in given}) != 1:
            raise ValueError(
                f"{self.name} is given {list(given)}; expected two or more of one height and width"
            )
        return (*given[0][:2], sum(shape[2] for shape in given))


@dataclass(frozen=True, eq=False)
class FloatGraph:
    """Images ``shape (height, width, channels)`` in [0, 1] through ``nodes`` in order.

    The last node's value is the network's. Raises ``ValueError`` for nodes that do not fit: a name
    that is taken, a source that comes later or nowhere, a shape that a node does not take, a value
    that nobody reads.
    """

    shape: Shape
    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        if not self.nodes:
            raise ValueError("nodes are none; expected at least one")
        known, read = {IMAGES}, {self.nodes[-1].name}
        for node in self.nodes:
            if node.name in known:
                raise ValueError(f"{node.name} is the name of two nodes; expected one of its own")
            if unknown := [source for source in node.sources if source not in known]:
                raise ValueError(f"{node.name} reads {unknown[0]}; expected a node before it")
            known.add(node.name)
            read.update(node.sources)
        if idle := sorted(known - read):
            raise ValueError(f"nobody reads {idle[0]}; expected a network without loose ends")
        _ = self.shapes  # which asks every node

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """Of the images and of what each node gives, by name."""
        found: dict[str, Shape] = {IMAGES: self.shape}
        for node in self.nodes:
            found[node.name] = node.shape([found[source] for source in node.sources])
        return found

    @cached_property
    def nonnegative(self) -> frozenset[str]:
        """The values that cannot be below 0: images, and what a ReLU has made so."""
        found = {IMAGES}
        for node in self.nodes:
            inherited = not isinstance(node, FloatWeighted) and found.issuperset(node.sources)
            if inherited or getattr(node, "relu", False):
                found.add(node.name)
        return frozenset(found)

    @property
    def weighted(self) -> tuple[FloatWeighted, ...]:
        """The nodes that have weights, in order."""
        return tuple(node for node in self.nodes if isinstance(node, FloatWeighted))

    @property
    def last(self) -> str:
        """The name of the node whose value is the network's."""
        return self.nodes[-1].name

    def values(self, images: Tensor) -> dict[str, Tensor]:
        """What each node gives, ``(n, height, width, channels)``, by its name; images too."""
        if tuple(images.shape[1:]) != self.shape:
            raise ValueError(f"images are {tuple(images.shape[1:])}; expected {self.shape}")
        found = {IMAGES: images.permute(0, 3, 1, 2)}
        for node in self.nodes:
            value = evaluate(node, [found[source] for source in node.sources])
            found[node.name] = F.relu(value) if getattr(node, "relu", False) else value
        return {name: value.permute(0, 2, 3, 1) for name, value in found.items()}

    def run(self, images: Tensor) -> Tensor:
        """Logits ``(n, classes)``, or maps ``(n, height, width, classes)``, in the images' dtype.

        Of ``images (n, height, width, channels)`` in [0, 1].
        """
        value = self.values(images)[self.last]
        return value.flatten(1) if self.shapes[self.last][:2] == (1, 1) else value

    def replaced(self, nodes: Mapping[str, Node]) -> FloatGraph:
        """The graph with other nodes in the places of those names."""
        return FloatGraph(self.shape, tuple(nodes.get(node.name, node) for node in self.nodes))


def evaluate(
    node: Node, values: Sequence[Tensor], weight: Tensor | None = None, bias: Tensor | None = None
) -> Tensor:
    """What ``node`` gives of ``values (n, channels, height, width)``, its ReLU left out.

    ``weight`` and ``bias`` stand in for a node's own where they are given: those of a network that
    is trained. Raises ``ValueError`` for a node that is not of this graph.
    """
    value = values[0]
    if isinstance(node, FloatWeighted):
        weight = node.weight.to(value) if weight is None else weight
        bias = node.bias.to(value) if bias is None else bias
        if isinstance(node, FloatConvolution):
            above, below, left, right = node.padding
            if above == below and left == right:
                return F.conv2d(value, weight, bias, node.stride, (above, left))
            padded = F.pad(value, (left, right, above, below))
            return F.conv2d(padded, weight, bias, node.stride)
        flat = value.permute(0, 2, 3, 1).flatten(1)
        return F.linear(flat, weight, bias)[:, :, None, None]
    if isinstance(node, MaxPool):
        return F.max_pool2d(value, node.size)
    if isinstance(node, Upsample):
        return F.interpolate(value, scale_factor=node.factor, mode="nearest")
    if isinstance(node, FloatAdd):
        total = values[0]
        for other in values[1:]:
            total = total + other
        return total
    if isinstance(node, FloatConcatenate):
        return torch.cat(tuple(values), dim=1)
    raise ValueError(f"{node.name} is a {type(node).__name__}; expected a node of a float graph")
