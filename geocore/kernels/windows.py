"""Sums over windows that move jointly: what a convolution does to covariances.

A convolution with independent weights takes ``K(p, q)`` to the mean over its window of
``K(s p + t, s q + t)``, both positions moved by the same ``t``. A window of two axes is one
of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Padding", "map_sum", "output_size", "padding_amounts", "window_sum"]

Padding = Literal["valid", "same", "circular"]

_SMALL = 2**15  # entries: an operation on fewer takes less time than it takes to start it
_AT_ONCE = 12  # taps of a window that are summed at once; of a larger one, height and width in turn


def output_size(size: int, taps: int, stride: int, padding: Padding) -> int:
    """``ceil(size / stride)``, of ``size - taps + 1`` places where the padding is ``valid``.

    Raises ``ValueError`` for a window that does not fit.
    """
    if padding != "valid":
        return -(-size // stride)
    if size < taps:
        raise ValueError(f"kernel_size is {taps} on {size} pixels without padding; expected less")
    return (size - taps) // stride + 1


def padding_amounts(size: int, taps: int, stride: int, padding: Padding) -> tuple[int, int]:
    """Pixels added before and after: as few as the size asks for, the odd one after.

    That is TensorFlow's and jax's ``SAME``; where ``stride`` is 1 and ``taps`` odd it is torch's.
    """
    if padding == "valid":
        return 0, 0
    total = max((output_size(size, taps, stride, padding) - 1) * stride + taps - size, 0)
    return total // 2, total - total // 2


def window_sum(
    x: Tensor, axes: Sequence[int], taps: int, stride: int = 1, padding: Padding = "valid"
) -> Tensor:
    """``y[.., i, ..] = sum_{t < taps} x[.., stride i + t - before, ..]``, all ``axes`` alike.

    As shifted copies added up: a product with a matrix takes twice as long at these sizes. ``axes``
    (counted from the front) move jointly and have one length: two axes ``(h, h')`` give
    ``sum_t x[stride h + t, stride h' + t]``. Outside are zeros, or the other side of the torus.
    """
    size = x.shape[axes[0]]
    before, after = padding_amounts(size, taps, stride, padding)
    if stride == 1 and 1 < taps <= size and padding == "circular" and len(axes) == 1:
        return _ring_sum(x, axes[0], taps, before)
    if stride == 1 and taps > 1 and padding == "same" and after < size:
        return _open_sum(x, axes, taps, before)
    count = output_size(size, taps, stride, padding)
    if before or after:
        if padding == "circular":
            for axis in axes:
                x = _around(x, axis, before, after)
        else:
            amounts = [0, 0] * x.ndim
            for axis in axes:
                amounts[2 * (x.ndim - 1 - axis) : 2 * (x.ndim - axis)] = [before, after]
            x = F.pad(x, amounts)
    if taps == stride == 1:
        return x.clone()
    parts = []
    for tap in range(taps):
        part = x
        for axis in axes:
            part = _every(part, axis, tap, count, stride)
        parts.append(part)
    total = parts[0] + parts[1] if taps > 1 else parts[0].clone()
    for part in parts[2:]:
        total += part
    return total


def map_sum(
    x: Tensor, taps: tuple[int, int], stride: int = 1, padding: Padding = "valid"
) -> Tensor:
    """``y[.., i, j] = sum_{s, t} x[.., stride i + s - before, stride j + t - before]`` of maps.

    ``x (..., height, width)``, a window of ``taps`` (height, width). Beside ``window_sum`` of each
    axis it is for maps that do not move jointly with others, and several times faster: torch's
    pooling, for which memory holds all maps' numbers of one position together. So it holds those
    of the result, and one that comes so is not copied. Raises ``ValueError`` as ``output_size``.
    """
    leading, (height, width) = x.shape[:-2], x.shape[-2:]
    around, added = _border((height, width), taps, stride, padding)
    count, strides = _by_position(x.shape)
    if x.stride() != strides:
        x = x.movedim((-2, -1), (0, 1)).contiguous()
    if added is not None and padding == "circular":
        rows, places = _torus((height, width), added, x.device)
        around_it = x.as_strided((height * width, count), (count, 1)).index_select(0, places)
        found = around_it.view(1, rows, -1, count).permute(0, 3, 1, 2)
    else:  # in strides by which torch knows that channels lie last
        ahead = (height * width * count, 1, width * count, count)
        found = x.as_strided((1, count, height, width), ahead)
        if added is not None:
            found = F.pad(found, [*added[1], *added[0]])
    if taps[0] * taps[1] <= _AT_ONCE:
        found = F.avg_pool2d(found, taps, stride, around, divisor_override=1)
    else:
        for place, size in enumerate(taps):
            one, step, pad = [1, 1], [1, 1], [0, 0]
            one[place], step[place], pad[place] = size, stride, around[place]
            found = F.avg_pool2d(found, one, step, pad, divisor_override=1)
    total: Tensor = found[0].unflatten(0, leading)
    return total


@lru_cache
def _by_position(shape: torch.Size) -> tuple[int, tuple[int, ...]]:
    """Numbers of one position, and strides of a tensor whose memory holds them together."""
    count, strides = 1, []
    for size in reversed(shape[:-2]):
        strides.append(count)
        count *= size
    return count, (*reversed(strides), shape[-1] * count, count)


@lru_cache
def _border(
    size: tuple[int, int], taps: tuple[int, int], stride: int, padding: Padding
) -> tuple[tuple[int, int], tuple[tuple[int, int], ...] | None]:
    """The zeros around that pooling adds by itself, or pixels to be added on each side before."""
    for side, count in zip(size, taps, strict=True):
        output_size(side, count, stride, padding)
    amounts = tuple(
        padding_amounts(side, count, stride, padding)
        for side, count in zip(size, taps, strict=True)
    )
    if not any(map(any, amounts)):
        return (0, 0), None
    even = all(b == a <= count // 2 for (b, a), count in zip(amounts, taps, strict=True))
    if even and padding != "circular":
        return (amounts[0][0], amounts[1][0]), None
    return (0, 0), amounts


@lru_cache
def _torus(
    size: tuple[int, int], added: tuple[tuple[int, int], ...], device: torch.device
) -> tuple[int, Tensor]:
    """Rows of the map with pixels added around it, and where each of its pixels comes from."""
    with torch.inference_mode(False):  # kept for calls in any mode
        down, along = (
            torch.arange(-before, side + after, device=device) % side
            for side, (before, after) in zip(size, added, strict=True)
        )
        return len(down), (down[:, None] * size[1] + along).flatten()


def _ring_sum(x: Tensor, axis: int, taps: int, before: int) -> Tensor:
    """The sum on the torus, in the same order whatever the size: the same to the last bit."""
    size = x.shape[axis]
    others = [offset for offset in range(-before, taps - before) if offset not in (0, 1)]
    if x.numel() < _SMALL:  # fewer operations, more copies
        total = x + torch.roll(x, -1, axis)
        for offset in others:
            total += torch.roll(x, -offset, axis)
        return total
    total, last = torch.empty_like(x), size - 1
    torch.add(x.narrow(axis, 0, last), x.narrow(axis, 1, last), out=total.narrow(axis, 0, last))
    torch.add(x.narrow(axis, last, 1), x.narrow(axis, 0, 1), out=total.narrow(axis, last, 1))
    for offset in others:
        on = offset % size
        total.narrow(axis, 0, size - on).add_(x.narrow(axis, on, size - on))
        total.narrow(axis, size - on, on).add_(x.narrow(axis, 0, on))
    return total


def _open_sum(x: Tensor, axes: Sequence[int], taps: int, before: int) -> Tensor:
    """The sum with zeros outside: no pixel is copied for them."""
    size, total = x.shape[axes[0]], x.clone(memory_format=torch.contiguous_format)
    for offset in range(-before, taps - before):
        if offset:
            here, there = total, x
            for axis in axes:
                here = here.narrow(axis, max(-offset, 0), size - abs(offset))
                there = there.narrow(axis, max(offset, 0), size - abs(offset))
            here.add_(there)
    return total


def _around(x: Tensor, axis: int, before: int, after: int) -> Tensor:
    size = x.shape[axis]
    if max(before, after) > size:  # a window that goes round more than once
        return x.index_select(axis, torch.arange(-before, size + after, device=x.device) % size)
    ends = x.narrow(axis, size - before, before), x.narrow(axis, 0, after)
    return torch.cat([ends[0], x, ends[1]], dim=axis)


def _every(x: Tensor, axis: int, start: int, count: int, stride: int) -> Tensor:
    part = x.narrow(axis, start, (count - 1) * stride + 1)
    if stride == 1:
        return part
    return part[(slice(None),) * axis + (slice(None, None, stride),)]
