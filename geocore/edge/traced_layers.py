"""Each layer of torch as a node of a float graph, or refused by name with the remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from geocore.edge.float_graph import (
    FloatAdd,
    FloatConcatenate,
    FloatConvolution,
    FloatDense,
    FloatGraph,
    FloatWeighted,
)
from geocore.edge.nodes import IMAGES, MaxPool, Node, Shape, Upsample
from geocore.edge.traced import FIRST, LAST, NONE, Affine, Padding, Site, Value
from geocore.errors import UserError

__all__ = ["GraphBuilder"]


class GraphBuilder:
    """The nodes so far; each method takes one layer's value or values and gives the layer's."""

    def __init__(self, shape: Shape, sole: bool) -> None:
        self.shape = shape
        self.images = Value(IMAGES, shape, LAST, sole)
        self.nodes: dict[str, Node] = {}
        self._given: dict[str, Value] = {}  # what each pooling or upsampling reads

    def graph(self, value: Value, site: Site) -> FloatGraph:
        """The whole, once the module has given ``value``."""
        value.plain(site)
        if not (value.flat and value.pixel) and value.axes != LAST:
            raise site.refuse(
                "a value whose channels are not its last axis",
                "logits (n, classes) or maps (n, h, w, classes): permute(0, 2, 3, 1) at the end",
            )
        if self.nodes and value.name != list(self.nodes)[-1]:
            raise UserError(
                f"{list(self.nodes)[-1]}: is a layer that nobody reads; expected a forward "
                "without loose ends: remove it"
            )
        return FloatGraph(self.shape, tuple(self.nodes.values()))

    def convolution(self, layer: nn.Conv2d, value: Value, site: Site) -> Value:
        """``Conv2d``, with the batch norm and the zeros that are due inside."""
        value.image(site)
        if layer.groups != 1:
            raise site.refuse(
                f"a convolution of {layer.groups} groups", "1: an ordinary convolution"
            )
        if tuple(layer.dilation) != (1, 1):
            raise site.refuse(
                f"a convolution of dilation {tuple(layer.dilation)}",
                "(1, 1): a larger kernel, or a stride",
            )
        if layer.padding_mode != "zeros":
            raise site.refuse(f"a convolution padded by {layer.padding_mode}", "zeros")
        if len(set(layer.stride)) != 1:
            raise site.refuse(
                f"a convolution of stride {tuple(layer.stride)}", "one stride for both axes"
            )
        if value.shape[2] != layer.in_channels:
            raise site.refuse(
                f"a convolution of {layer.in_channels} channels",
                f"the {value.shape[2]} it is given",
            )
        own = _own_padding(layer)
        weight, bias = _numbers(layer)
        if value.affine is not None:
            if own != NONE and bool(value.affine.shift.any()):
                raise UserError(
                    f"{value.affine.where}: is a batch norm before {site.where}, which pads; "
                    "expected padding 0 there, or the batch norm after the convolution"
                )
            bias = bias + (weight.sum(dim=(2, 3)) @ value.affine.shift)
            weight = weight * value.affine.gain[None, :, None, None]
        padding = cast(Padding, tuple(a + b for a, b in zip(own, value.padding, strict=True)))
        node = FloatConvolution(
            site.name, (value.name,), weight, bias, False, layer.stride[0], padding
        )
        return self._add(node, (value,), FIRST, site)

    def linear(self, layer: nn.Linear, value: Value, site: Site) -> Value:
        """``Linear`` of a flat value, or of each pixel's channels: a convolution 1x1."""
        weight, bias = _numbers(layer)
        if value.padding != NONE or not (value.flat or value.axes == LAST):
            value.plain(site)
            raise site.refuse(
                f"a linear map over the axis {value.axes[-1]}",
                "a flat value (flatten(1) before it), or channels last",
            )
        taken = value.shape[2] if not value.flat else int(torch.tensor(value.shape).prod())
        if taken != layer.in_features:
            raise site.refuse(f"a linear map of {layer.in_features} numbers", f"{taken}")
        if value.affine is not None:
            bias = bias + weight @ value.affine.shift
            weight = weight * value.affine.gain
        if not value.flat:
            node: Node = FloatConvolution(site.name, (value.name,), weight[:, :, None, None], bias)
            return self._add(node, (value,), LAST, site)
        weight = weight[:, value.columns()]
        return self._add(FloatDense(site.name, (value.name,), weight, bias), (value,), "chw", site)

    def norm(self, layer: nn.BatchNorm1d | nn.BatchNorm2d, value: Value, site: Site) -> Value:
        """A batch norm: into the layer before it, else due for the one after it."""
        if isinstance(layer, nn.BatchNorm2d):
            value.image(site)
        elif not value.flat:
            raise site.refuse("a BatchNorm1d of an image", "BatchNorm2d, or flatten(1) before it")
        affine = _affine(layer, site)
        size = value.shape[2] if not value.flat else int(torch.tensor(value.shape).prod())
        if len(affine.gain) != size:
            raise site.refuse(f"a batch norm of {len(affine.gain)} numbers", f"{size}")
        before = self.nodes.get(value.name)
        clean = value.affine is None and value.padding == NONE and value.sole
        fits = not value.flat or value.pixel
        if isinstance(before, FloatWeighted) and not before.relu and clean and fits:
            gain = affine.gain.reshape(-1, *[1] * (before.weight.ndim - 1))
            self.nodes[value.name] = replace(
                before,
                weight=before.weight * gain,
                bias=before.bias * affine.gain + affine.shift,
            )
            return value.read_at(site)
        if value.affine is not None:
            value.plain(site)
        return replace(value, affine=affine).read_at(site)

    def relu(self, value: Value, site: Site) -> Value:
        """Into the layer before it, if nobody else reads what that gives."""
        value.plain(site)
        made = value
        while made.name in self._given and made.sole:  # the larger of x and 0 passes these
            made = self._given[made.name]
        node = self.nodes.get(made.name)
        if made.name == IMAGES or (node is not None and self._never_negative(node)):
            return value.read_at(site)
        if not made.sole:
            raise site.refuse(
                f"a ReLU of {made.name}, which other layers read too",
                "to be its only reader: give the others a layer of their own",
            )
        assert isinstance(node, FloatWeighted | FloatAdd | FloatConcatenate)
        self.nodes[made.name] = replace(node, relu=True)
        # Who reads it now is whoever reads the ReLU.
        if made is value:
            return replace(value, sole=site.sole)
        return value.read_at(site)

    def max_pool(self, layer: nn.MaxPool2d, value: Value, site: Site) -> Value:
        """``MaxPool2d`` over squares side by side."""
        value.plain(site).image(site)
        kernel, stride = _pair(layer.kernel_size), _pair(layer.stride or layer.kernel_size)
        if kernel[0] != kernel[1] or stride != kernel:
            raise site.refuse(
                f"a max-pooling over {kernel} at stride {stride}", "a square kernel as its stride"
            )
        if _pair(layer.padding) != (0, 0) or _pair(layer.dilation) != (1, 1):
            raise site.refuse("a max-pooling with padding or dilation", "neither")
        if layer.ceil_mode or layer.return_indices:
            raise site.refuse("a max-pooling with ceil_mode or return_indices", "neither")
        found = self._add(MaxPool(site.name, (value.name,), kernel[0]), (value,), FIRST, site)
        self._given[found.name] = value
        return found

    def upsample(self, layer: nn.Upsample, value: Value, site: Site) -> Value:
        """``Upsample`` to nearest neighbours by a whole factor."""
        value.plain(site).image(site)
        if layer.mode not in ("nearest", "nearest-exact"):
            raise site.refuse(f"an upsampling of mode {layer.mode}", "nearest")
        height, width, _ = value.shape
        if layer.size is not None:
            rows, columns = _pair(layer.size)
            factors = (rows / height, columns / width)
        else:
            factors = _pair(layer.scale_factor)
        factor = round(factors[0])
        if factors != (factor, factor) or factor < 1:
            raise site.refuse(
                f"an upsampling by {factors[0]:g} x {factors[1]:g}", "one whole factor for both"
            )
        found = self._add(Upsample(site.name, (value.name,), factor), (value,), FIRST, site)
        self._given[found.name] = value
        return found

    def pad(self, value: Value, amounts: Sequence[int], fill: Any, site: Site) -> Value:
        """Zeros due around a value; ``amounts`` in torch's order, the last axis first."""
        if value.affine is not None:
            value.plain(site)
        if fill not in (0, None):
            raise site.refuse(f"padding with {fill}", "padding with 0")
        sides = dict.fromkeys("nchw", (0, 0))
        for place in range(len(amounts) // 2):
            sides[value.axes[-1 - place]] = amounts[2 * place], amounts[2 * place + 1]
        if value.flat or sides["n"] != (0, 0) or sides["c"] != (0, 0):
            raise site.refuse("padding of channels or of a flat value", "padding of rows, columns")
        if min(*sides["h"], *sides["w"]) < 0:
            raise site.refuse("padding by less than 0", "0 or more: nothing is cut off")
        own = (*sides["h"], *sides["w"])
        padding = cast(Padding, tuple(a + b for a, b in zip(own, value.padding, strict=True)))
        return replace(value, padding=padding).read_at(site)

    def add(self, values: Sequence[Value], site: Site) -> Value:
        """The sum of values of one shape."""
        self._alike(values, site)
        if len({value.shape for value in values}) != 1:
            found = " and ".join(str(value.shape) for value in values)
            raise site.refuse(f"a sum of shapes {found}", "one shape: nothing is spread")
        node = FloatAdd(site.name, tuple(value.name for value in values))
        return self._add(node, values, values[0].axes, site)

    def concatenate(self, values: Sequence[Value], axis: int, site: Site) -> Value:
        """One value's channels after the other's."""
        self._alike(values, site)
        first = values[0]
        if len(values) == 1:
            return first.read_at(site)
        along = ("n" + first.axes[:1] if first.flat else first.axes)[axis]
        vectors = first.flat and all(value.pixel for value in values)
        if (along != "c" and not (vectors and along != "n")) or (first.flat and not vectors):
            raise site.refuse(
                f"a concatenation over axis {axis}", "channels, and before anything is flattened"
            )
        if len({value.shape[:2] for value in values}) != 1:
            found = " and ".join(str(value.shape) for value in values)
            raise site.refuse(f"a concatenation of shapes {found}", "one height and width")
        node = FloatConcatenate(site.name, tuple(value.name for value in values))
        return self._add(node, values, first.axes, site)

    def flatten(self, value: Value, start: int, end: int, site: Site) -> Value:
        """All of a sample's numbers in a row: axes 1 to the last."""
        axes = 2 if value.flat else 4
        if (start % axes, end % axes) != (1, axes - 1):
            raise site.refuse(
                f"a flattening of axes {start} to {end}", "all but the batch: 1 to -1"
            )
        if value.padding != NONE:
            value.plain(site)
        if value.flat:
            return value.read_at(site)
        if value.axes[0] != "n":
            raise site.refuse(f"given axes {', '.join(value.axes)}", "the batch first")
        return value.flattened(value.axes[1:]).read_at(site)

    def permute(self, value: Value, order: Sequence[int], site: Site) -> Value:
        """The axes in another order."""
        if value.flat or sorted(axis % 4 for axis in order) != [0, 1, 2, 3]:
            raise site.refuse(f"a permutation {tuple(order)}", "one of all four axes of an image")
        axes = "".join(value.axes[axis] for axis in order)
        return replace(value, axes=axes).read_at(site)

    def _add(self, node: Node, given: Sequence[Value], axes: str, site: Site) -> Value:
        """The node among the others, and its value."""
        try:
            shape = node.shape([value.shape for value in given])
        except ValueError as error:
            raise UserError(f"{site.where}: {error}") from None
        self.nodes[node.name] = node
        return Value(node.name, shape, axes, site.sole)

    def _alike(self, values: Sequence[Value], site: Site) -> None:
        for value in values:
            value.plain(site)
        axes = {value.axes for value in values}
        if len(axes) != 1 and not all(value.flat and value.pixel for value in values):
            raise site.refuse("given values whose axes lie otherwise", "one order of axes")

    def _never_negative(self, node: Node) -> bool:
        if isinstance(node, FloatWeighted) or getattr(node, "relu", False):
            return bool(getattr(node, "relu", False))
        sources = (self.nodes.get(source) for source in node.sources)
        return all(source is None or self._never_negative(source) for source in sources)


def _own_padding(layer: nn.Conv2d) -> Padding:
    if layer.padding == "valid":
        return NONE
    if layer.padding == "same":  # torch's own: what is odd lies below and on the right
        sides = [divmod(size - 1, 2) for size in layer.kernel_size]
        (rows, odd_row), (columns, odd_column) = sides
        return rows, rows + odd_row, columns, columns + odd_column
    rows, columns = cast(tuple[int, int], layer.padding)
    return rows, rows, columns, columns


def _numbers(layer: nn.Conv2d | nn.Linear) -> tuple[Tensor, Tensor]:
    weight = layer.weight.detach().double().clone()
    bias = layer.bias
    return weight, weight.new_zeros(len(weight)) if bias is None else bias.detach().double().clone()


def _affine(layer: nn.BatchNorm1d | nn.BatchNorm2d, site: Site) -> Affine:
    mean, variance = layer.running_mean, layer.running_var
    if mean is None or variance is None:
        raise site.refuse("a batch norm without running statistics", "track_running_stats=True")
    gain = 1 / torch.sqrt(variance.double() + layer.eps)
    shift = torch.zeros_like(gain)
    if layer.affine:
        gain = layer.weight.detach().double() * gain
        shift = layer.bias.detach().double()
    return Affine(site.where, gain, shift - mean.double() * gain)


def _pair(value: Any) -> tuple[Any, Any]:
    return (value[0], value[-1]) if isinstance(value, tuple | list) else (value, value)
