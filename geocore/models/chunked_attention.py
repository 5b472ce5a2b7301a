"""Window attention in chunks that stay in a core's cache, with its gradient written out.

The law is ``geocore.models.window_attention.attend``, which this replaces on the CPU. Written as
tensor operations, each step walks all windows' weights through memory and leaves a copy for the
gradient. Here a few windows go through all steps before the next few come, in forward and
backward; only q, k, v, and a byte for each weight where there is dropout, are kept between them:
the weights are computed anew, which costs less than fetching them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from geocore.models.dropout import keep_mask, keep_probability

__all__ = ["SMALLEST_NORM", "attend_in_chunks"]

SMALLEST_NORM = 1e-6  # shorter queries and keys are divided by this, so that zero has a gradient

_CHUNK = 1 << 17  # weights of a chunk: with q, k, v and their gradients about 1 MB in float32


@dataclass(frozen=True)
class _Layout:
    heads: int
    window: int
    dot_scale: float
    probability: float


def attend_in_chunks(
    qkv: Tensor,
    heads: int,
    window: int,
    *,
    scale: Tensor | None,
    bias: Tensor | None,
    labels: Tensor | None,
    probability: float = 0.0,
    factors: Tensor | None = None,
) -> Tensor:
    """Attention within windows; arguments and result are those of ``attend``.

    It can be differentiated once, in backward mode.
    """
    width = qkv.shape[-1] // 3 // heads
    layout = _Layout(heads, window, width**-0.5, probability)
    out: Tensor = _Attend.apply(qkv, scale, bias, labels, factors, layout)
    return out


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        qkv: Tensor,
        scale: Tensor | None,
        bias: Tensor | None,
        labels: Tensor | None,
        factors: Tensor | None,
        layout: _Layout,
    ) -> Tensor:
        shape = _shape(qkv, layout)
        batch, windows, window, _, heads, width = shape
        parts = qkv.view(shape)
        out = qkv.new_empty(batch, windows, window, heads, width)
        kept: Tensor | None = None
        if layout.probability:
            kept = qkv.new_empty(batch, windows, heads, window, window, dtype=torch.uint8)
        for samples, some in _chunks(batch, windows, heads * window * window):
            q, k, v = _split(parts[samples, some])
            if scale is not None:
                q.mul_(scale / _norms(q))
                k.div_(_norms(k))
            else:
                q.mul_(layout.dot_scale)
            weights = _weights(q, k, bias, _labels_of(some, labels, windows))
            if kept is not None:
                mask = keep_mask(tuple(weights.shape), layout.probability, weights)
                kept[samples, some].copy_(mask)
                weights.mul_(mask)
                v.div_(keep_probability(layout.probability))
            if factors is not None:
                weights.mul_(factors[samples, None])
            out[samples, some].copy_((weights @ v).transpose(2, 3))
        ctx.save_for_backward(qkv, scale, bias, labels, factors, kept)
        ctx.layout = layout
        return out.view(batch, windows * window, heads * width)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        qkv, scale, bias, labels, factors, kept = ctx.saved_tensors
        layout: _Layout = ctx.layout
        shape = _shape(qkv, layout)
        batch, windows, window, _, heads, width = shape
        parts, above = qkv.view(shape), gradient.reshape(batch, windows, window, heads, width)
        below = torch.empty_like(parts)
        to_scale = None if scale is None else torch.zeros_like(scale)
        to_bias = None if bias is None else torch.zeros_like(bias)
        for samples, some in _chunks(batch, windows, heads * window * window):
            q, k, v = _split(parts[samples, some])
            q_norm = k_norm = None
            if scale is not None:
                q_norm, k_norm = _norms(q), _norms(k)
                q.mul_(scale / q_norm)
                k.div_(k_norm)
            else:
                q.mul_(layout.dot_scale)
            weights = _weights(q, k, bias, _labels_of(some, labels, windows))
            into = above[samples, some].transpose(2, 3).contiguous()
            mask = None
            if kept is not None:
                mask = kept[samples, some].to(weights.dtype)
                into.div_(keep_probability(layout.probability))
            if factors is not None:
                mask = factors[samples, None] if mask is None else mask.mul_(factors[samples, None])
            to_weights = into @ v.mT
            dropped = weights
            if mask is not None:
                to_weights.mul_(mask)
                dropped = weights * mask
            to_v = dropped.mT @ into
            # The softmax's: w (g - sum(w g)).
            to_logits = torch._softmax_backward_data(to_weights, weights, -1, weights.dtype)
            if to_bias is not None:
                to_bias += to_logits.sum(dim=(0, 1))
            to_q, to_k = to_logits @ k, to_logits.mT @ q
            if scale is not None and to_scale is not None:
                # Of s q / |q|: only what stands across q goes on; what lies along it is the scale's.
                along = (to_q * q).sum(-1, keepdim=True)
                to_scale += along.sum(dim=(0, 1, 3))[..., None] / scale
                along.div_(scale.square()).mul_(q_norm > SMALLEST_NORM)
                to_q.sub_(q.mul_(along)).mul_(scale / q_norm)
                along = (to_k * k).sum(-1, keepdim=True).mul_(k_norm > SMALLEST_NORM)
                to_k.sub_(k.mul_(along)).div_(k_norm)
            else:
                to_q.mul_(layout.dot_scale)
            for number, part in enumerate((to_q, to_k, to_v)):
                below[samples, some, :, number].copy_(part.transpose(2, 3))
        return below.view(qkv.shape), to_scale, to_bias, None, None, None


def _shape(qkv: Tensor, layout: _Layout) -> tuple[int, int, int, int, int, int]:
    batch, slots, channels = qkv.shape
    width = channels // 3 // layout.heads
    return batch, slots // layout.window, layout.window, 3, layout.heads, width


def _chunks(batch: int, windows: int, weights: int) -> Iterator[tuple[slice, slice]]:
    """Whole samples, or some windows of one, so that a chunk has about ``_CHUNK`` weights."""
    most = max(1, _CHUNK // weights)
    if most >= windows:
        step = most // windows
        for sample in range(0, batch, step):
            yield slice(sample, sample + step), slice(0, windows)
        return
    for sample in range(batch):
        for first in range(0, windows, most):
            yield slice(sample, sample + 1), slice(first, min(first + most, windows))


def _split(parts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """q, k and v, each ``(batch, windows, heads, window, width)``, copied."""
    q, k, v = parts.permute(3, 0, 1, 4, 2, 5).contiguous().unbind(0)
    return q, k, v


def _norms(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_(min=SMALLEST_NORM)


def _labels_of(some: slice, labels: Tensor | None, windows: int) -> Tensor | None:
    """The labels of those of the windows that have some; they stand last."""
    if labels is None or some.stop <= windows - len(labels):
        return None
    first = windows - len(labels)
    return labels[max(some.start - first, 0) : some.stop - first]


def _weights(q: Tensor, k: Tensor, bias: Tensor | None, labels: Tensor | None) -> Tensor:
    logits = q @ k.mT
    if bias is not None:
        logits.add_(bias)
    if labels is not None:
        same = torch.eq(labels[:, :, None], labels[:, None, :]).to(logits.dtype)
        # 1 -> 0 and 0 -> -inf, by arithmetic: filling by a mask takes ten times as long.
        logits[:, -len(labels) :].add_((same - 1).div_(same)[:, None])
    return torch.softmax(logits, dim=-1, out=logits)
