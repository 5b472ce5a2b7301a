"""Convolutions and pooling of many members' images, in the layout (member, channel, row, column,
sample).

With the samples last, what the outputs of a convolution see is copied in long runs, and the product
with the weights is one batched product with the longest axis in the last place, as in a chain of
linear layers. Where the images are small and the channels few that is faster than convolutions,
which are made for many of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

__all__ = ["by_plane", "convolve", "is_plain", "maxima_first", "pools", "strides"]


def maxima_first(layers: Sequence[tuple[str, nn.Module]]) -> list[tuple[str, nn.Module]]:
    """The same chain with each ReLU after the maximum that follows it, where fewer numbers are.

    ``max relu(x) = relu(max x)``, and the same one of equal numbers has the gradient. Layers whose
    inputs somebody watches stay where they are.
    """
    found = list(layers)
    for place in range(len(found) - 1):
        first, second = found[place][1], found[place + 1][1]
        watched = any(layer._forward_hooks or layer._forward_pre_hooks for layer in (first, second))
        kinds = type(first), type(second)
        if kinds == (nn.ReLU, nn.MaxPool2d) and pools(second) and not watched:
            found[place : place + 2] = found[place + 1], found[place]
    return found


def is_plain(layer: nn.Module) -> bool:
    """Whether it is a convolution that ``convolve`` knows: of all channels, padded by zeros."""
    return (
        type(layer) is nn.Conv2d
        and layer.groups == 1
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
    )


def pools(layer: nn.Module) -> bool:
    """Whether it pools each channel of each sample by itself."""
    return type(layer) in (nn.MaxPool2d, nn.AvgPool2d) and not getattr(
        layer, "return_indices", False
    )


def strides(layer: nn.Module) -> int:
    """How many numbers of its input there are to one of its output, about."""
    rows, columns = _two(getattr(layer, "stride", 1))
    return rows * columns


def convolve(
    layer: nn.Conv2d, own: Mapping[str, Tensor], x: Tensor, after: nn.Module | None = None
) -> Tensor:
    """``y_o = b_o + sum_c w_oc * x_c`` for each member, set as ``layer`` is.

    ``x (members, channels, rows, columns, samples)``; of ``own`` the ``weight (members, out,
    channels, k, l)`` and, if there is one, the ``bias (members, out)``. Where the layer ``after``
    it pools, the last rows and columns that no window reaches are left out.
    """
    rows, columns = _two(layer.padding)
    if rows or columns:
        x = F.pad(x, (0, 0, columns, columns, rows, rows))
    geometry = _Geometry(_two(layer.kernel_size), _two(layer.stride), _two(layer.dilation))
    if after is not None:
        x = _reached(x, geometry, after)
    weight = own["weight"].flatten(2)
    # A bias is the weight of a number that is always one: its gradient is a part of the product.
    bias = own["bias"] if "bias" in own else weight.new_zeros(weight.shape[:2])
    joined = torch.cat([weight, bias[..., None]], dim=2)
    found: Tensor = _Convolution.apply(x, joined, geometry)  # type: ignore[no-untyped-call]
    return found


def by_plane(layer: nn.Module, x: Tensor) -> Tensor:
    """``layer``, which pools, on ``x (members, channels, rows, columns, samples)``."""
    # To torch these are images with their channels last: the channels are our samples.
    images = x.flatten(0, 1).permute(0, 3, 1, 2)
    pooled: Tensor = layer(images).permute(0, 2, 3, 1).unflatten(0, x.shape[:2])
    return pooled


class _Geometry(NamedTuple):
    """A convolution's settings, each of rows and columns."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]

    def outputs(self, sizes: Sequence[int]) -> tuple[int, int]:
        """Rows and columns that come of so many."""
        rows, columns = (
            (size - dilation * (kernel - 1) - 1) // stride + 1
            for size, kernel, stride, dilation in zip(sizes, *self, strict=True)
        )
        return rows, columns

    def inputs(self, counts: Sequence[int]) -> tuple[int, int]:
        """Rows and columns that so many outputs see."""
        rows, columns = (
            (count - 1) * stride + dilation * (kernel - 1) + 1
            for count, kernel, stride, dilation in zip(counts, *self, strict=True)
        )
        return rows, columns


class _Convolution(torch.autograd.Function):
    """``x``, padded, and weights ``(members, out, seen + 1)`` -> ``(members, out, rows, ...)``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, geometry: _Geometry) -> Tensor:
        seen = _seen(x, geometry)
        ctx.save_for_backward(seen, weight)
        ctx.geometry, ctx.shape = geometry, x.shape
        found: Tensor = torch.bmm(weight, seen)
        return found.view(*found.shape[:2], *geometry.outputs(x.shape[2:4]), x.shape[-1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, None]:
        seen, weight = ctx.saved_tensors
        grad = grad.flatten(2)
        pulled = None
        if ctx.needs_input_grad[0]:
            pulled = _unseen(torch.bmm(weight[..., :-1].mT, grad), ctx.geometry, ctx.shape)
        # The longer factor first: a tenth faster than the transpose.
        return pulled, torch.bmm(seen, grad.mT).mT, None


def _reached(x: Tensor, geometry: _Geometry, pool: nn.Module) -> Tensor:
    """``x`` without the last rows and columns that only outputs see which ``pool`` leaves out."""
    if not pools(pool) or pool.ceil_mode or any(_two(pool.padding)):
        return x
    window = _Geometry(
        _two(pool.kernel_size), _two(pool.stride), _two(getattr(pool, "dilation", 1))
    )
    pooled = window.outputs(geometry.outputs(x.shape[2:4]))
    rows, columns = geometry.inputs(window.inputs(pooled))
    return x[:, :, :rows, :columns] if min(pooled) > 0 else x  # else torch says what is wrong


def _seen(x: Tensor, geometry: _Geometry) -> Tensor:
    """What each output sees, and a one: ``(members, seen + 1, rows * columns * samples)``."""
    shape = (*x.shape[:2], *geometry.kernel, *geometry.outputs(x.shape[2:4]), x.shape[-1])
    far, near = x.stride()[:2], x.stride()[2:4]
    inside = [step * dilation for step, dilation in zip(near, geometry.dilation, strict=True)]
    between = [step * stride for step, stride in zip(near, geometry.stride, strict=True)]
    found = x.new_empty(shape[0], prod(shape[1:4]) + 1, prod(shape[4:]))
    steps = (*far, *inside, *between, x.stride(-1))
    found[:, :-1].view(shape).copy_(x.as_strided(shape, steps))
    found[:, -1] = 1
    return found


def _unseen(grad: Tensor, geometry: _Geometry, shape: torch.Size) -> Tensor:
    """The transpose of ``_seen``, without the one: of each number all its gradients, summed."""
    outputs = geometry.outputs(shape[2:4])
    parts = grad.view(*shape[:2], *geometry.kernel, *outputs, shape[-1])
    found = grad.new_zeros(shape)
    for place in ((i, j) for i in range(geometry.kernel[0]) for j in range(geometry.kernel[1])):
        rows, columns = (
            slice(at * dilation, at * dilation + (count - 1) * stride + 1, stride)
            for at, dilation, count, stride in zip(
                place, geometry.dilation, outputs, geometry.stride, strict=True
            )
        )
        found[:, :, rows, columns] += parts[:, :, place[0], place[1]]
    return found


def _two(setting: Any) -> tuple[int, int]:
    """Of rows and of columns, where one number may stand for both."""
    rows, columns = setting if isinstance(setting, tuple) else (setting, setting)
    return int(rows), int(columns)
