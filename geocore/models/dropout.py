"""Dropout of single numbers with cheap random masks, and of whole residual branches."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocore.models.products import by_hand

__all__ = ["DropPath", "ElementDropout", "keep_mask", "keep_probability"]

_LEVELS = 1 << 16


def keep_probability(probability: float) -> float:
    """The exact probability that ``keep_mask`` keeps a number: a multiple of 2^-16.

    It is 1 - round(2^16 p) / 2^16, at least 2^-16: 0.899994 for p = 0.1. What is
    kept is divided by this, so the mean is exact.
    """
    return 1 - _dropped_levels(probability) / _LEVELS


def _dropped_levels(probability: float) -> int:
    if not 0 <= probability < 1:
        raise ValueError(f"probability is {probability}; expected at least 0 and below 1")
    return min(round(probability * _LEVELS), _LEVELS - 1)


def keep_mask(shape: tuple[int, ...], probability: float, like: Tensor) -> Tensor:
    """1 with ``keep_probability(probability)`` and else 0, independently, in the dtype of ``like``.

    A number costs 16 bits of torch's generator, where ``bernoulli_`` draws a float: a sixth of the
    time. One 64-bit draw is four numbers.
    """
    count = 1
    for length in shape:
        count *= length
    drawn = torch.empty(-(-count // 4), dtype=torch.int64, device=like.device)
    levels = drawn.random_(-(2**63), None).view(torch.int16)[:count].view(shape)
    mask = torch.empty(shape, dtype=like.dtype, device=like.device)
    torch.ge(levels, _dropped_levels(probability) - _LEVELS // 2, out=mask)
    return mask


class ElementDropout(nn.Module):
    """Each number is dropped by itself with ``probability``, the rest is scaled up.

    On the CPU, but for compilers, autocast and ``torch.func``, the probability is rounded to a
    multiple of 2^-16 (``keep_probability``) and the backward pass keeps a byte a number.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.probability == 0:
            return x
        if not by_hand(x):
            return F.dropout(x, self.probability)
        mask = keep_mask(tuple(x.shape), self.probability, x)
        out: Tensor = _Masked.apply(x, mask, 1 / keep_probability(self.probability))  # type: ignore[no-untyped-call]
        return out


class _Masked(torch.autograd.Function):
    """``scale * mask * x``, with the mask kept in bytes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, mask: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(mask.to(torch.uint8))
        ctx.scale = scale
        return torch.mul(x, mask).mul_(scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (mask,) = ctx.saved_tensors
        return gradient * mask.to(gradient.dtype).mul_(ctx.scale), None, None


class DropPath(nn.Module):
    """x + branch, or x alone with ``probability``; a branch that is kept is scaled up.

    Each sample draws for itself. Source: stochastic depth, arXiv:1603.09382.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor, branch: Tensor) -> Tensor:
        if not self.training or self.probability == 0:
            return x + branch
        keep = 1 - self.probability
        factor = x.new_empty(len(x), *[1] * (x.ndim - 1)).bernoulli_(keep).div_(keep)
        return torch.addcmul(x, branch, factor)
