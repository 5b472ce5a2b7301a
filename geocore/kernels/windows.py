"""Sums over windows that move jointly: what a convolution does to covariances.

A convolution with independent weights takes ``K(p, q)`` to the mean over its window of
``K(s p + t, s q + t)``, both positions moved by the same ``t``. A window of two axes is one
of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Padding", "output_size", "padding_amounts", "window_sum"]

Padding = Literal["valid", "same", "circular"]


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
