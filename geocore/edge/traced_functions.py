"""Functions of torch that a forward calls, with torch's own arguments, as steps of the builder."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from geocore.edge.traced import Site, Value
from geocore.edge.traced_layers import GraphBuilder

__all__ = ["FUNCTIONS", "Step"]

Step = Callable[[GraphBuilder, Site], Value]


def _relu(input: Value, inplace: bool = False) -> Step:
    return lambda build, site: build.relu(input, site)


def _max_pool(
    input: Value, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Step:  # fmt: skip
    layer = nn.MaxPool2d(kernel_size, stride, padding, dilation, return_indices, ceil_mode)
    return lambda build, site: build.max_pool(layer, input, site)


def _interpolate(
    input: Value, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: Any = None, recompute_scale_factor: Any = None, antialias: bool = False,
) -> Step:  # fmt: skip
    layer = nn.Upsample(size, scale_factor, mode)
    return lambda build, site: build.upsample(layer, input, site)


def _pad(input: Value, pad: Sequence[int], mode: str = "constant", value: Any = None) -> Step:
    def step(build: GraphBuilder, site: Site) -> Value:
        if mode != "constant":
            raise site.refuse(f"padding of mode {mode}", "constant, with 0")
        return build.pad(input, pad, value, site)

    return step


def _add(input: Any, other: Any, alpha: Any = 1) -> Step:
    def step(build: GraphBuilder, site: Site) -> Value:
        if not (isinstance(input, Value) and isinstance(other, Value)) or alpha != 1:
            raise site.refuse("a sum with a constant", "a sum of two layers' values")
        return build.add((input, other), site)

    return step


def _cat(tensors: Sequence[Value], dim: int = 0, axis: int | None = None) -> Step:
    along = dim if axis is None else axis
    return lambda build, site: build.concatenate(tensors, along, site)


def _flatten(input: Value, start_dim: int = 0, end_dim: int = -1) -> Step:
    return lambda build, site: build.flatten(input, start_dim, end_dim, site)


def _reshape(input: Value, *shape: Any) -> Step:
    sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape

    def step(build: GraphBuilder, site: Site) -> Value:
        numbers = math.prod(input.shape)
        given = tuple(sizes)
        if given not in (("n", -1), ("n", numbers), (-1, numbers)):
            raise site.refuse(
                f"a reshaping to {', '.join(map(str, given))}",
                "flatten(1), or reshape(len, -1) of all but the batch",
            )
        return build.flatten(input, 1, -1, site)

    return step


def _permute(input: Value, *dims: Any) -> Step:
    order = dims[0] if len(dims) == 1 and isinstance(dims[0], tuple | list) else dims
    return lambda build, site: build.permute(input, order, site)


def _nothing(input: Value, p: float = 0.5, training: bool = True, inplace: bool = False) -> Step:
    def step(build: GraphBuilder, site: Site) -> Value:
        if training:
            raise site.refuse("a dropout that is always on", "training=self.training")
        return input.read_at(site)

    return step


def _same(input: Value, memory_format: Any = None) -> Step:
    return lambda build, site: input.read_at(site)


FUNCTIONS: dict[str, Callable[..., Step]] = {
    "relu": _relu, "relu_": _relu, "max_pool2d": _max_pool, "interpolate": _interpolate,
    "pad": _pad, "constant_pad_nd": _pad, "add": _add, "iadd": _add, "add_": _add, "cat": _cat,
    "concat": _cat, "concatenate": _cat, "flatten": _flatten, "reshape": _reshape,
    "view": _reshape, "permute": _permute, "dropout": _nothing, "contiguous": _same,
}  # fmt: skip
