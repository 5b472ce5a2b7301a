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
    out: Tensor = _Attend.apply(  # type: ignore[no-untyped-call]
        qkv, scale, bias, labels, factors, layout, torch.is_grad_enabled()
    )
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
        differentiated: bool,
    ) -> Tensor:
        shape = _shape(qkv, layout)
        batch, windows, window, _, heads, width = shape
        parts = qkv.view(shape)
        out = qkv.new_empty(batch, windows, window, heads, width)
        kept: list[Tensor] = []
        for samples, some in _chunks(batch, windows, heads * window * window):
            q, k, v = _copied(parts[samples, some].permute(3, 0, 1, 4, 2, 5)).unbind(0)
            if scale is not None:
                q_norm, k_norm = _norms(q), _norms(k)
                q.mul_(scale / q_norm)
                k.div_(k_norm)
                kept += [q_norm, k_norm]
            else:
                q.mul_(layout.dot_scale)
            kept += [q, k, v]
            weights = _weights(q, k, bias, _labels_of(some, labels, windows))
            if layout.probability:
                mask = keep_mask(tuple(weights.shape), layout.probability, weights)
                kept.append(mask.to(torch.uint8))
                weights.mul_(mask)
            if factors is not None:
                weights.mul_(factors[samples, None])
            mixed = weights @ v
            if layout.probability:
                mixed.div_(keep_probability(layout.probability))
            out[samples, some].copy_(mixed.transpose(2, 3))
            if not differentiated:
                kept.clear()
        ctx.save_for_backward(scale, bias, labels, factors, *kept)
        ctx.layout, ctx.shape = layout, shape
        return out.view(batch, windows * window, heads * width)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        scale, bias, labels, factors, *kept = ctx.saved_tensors
        layout: _Layout = ctx.layout
        batch, windows, window, _, heads, width = ctx.shape
        above = gradient.reshape(batch, windows, window, heads, width)
        below = gradient.new_empty(ctx.shape)
        to_scale = None if scale is None else torch.zeros_like(scale)
        to_bias = None if bias is None else torch.zeros_like(bias)
        stored = iter(kept)
        for samples, some in _chunks(batch, windows, heads * window * window):
            norms = None if scale is None else (next(stored), next(stored))
            q, k, v = next(stored), next(stored), next(stored)
            weights = _weights(q, k, bias, _labels_of(some, labels, windows))
            into = _copied(above[samples, some].transpose(2, 3))
            mask = None
            if layout.probability:
                mask = next(stored).to(weights.dtype)
                into.div_(keep_probability(layout.probability))
            if factors is not None:
                mine = factors[samples, None]
                mask = mine if mask is None else mask.mul_(mine)
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
            if norms is not None and scale is not None and to_scale is not None:
                to_q, along = _through_normalisation(to_q, q, norms[0], scale)
                to_scale += along.sum(dim=(0, 1, 3))[..., None] / scale
                to_k, _ = _through_normalisation(to_k, k, norms[1], None)
            else:
                to_q.mul_(layout.dot_scale)
            for number, part in enumerate((to_q, to_k, to_v)):
                below[samples, some, :, number].copy_(part.transpose(2, 3))
        to_qkv = below.view(batch, windows * window, 3 * heads * width)
        return to_qkv, to_scale, to_bias, None, None, None, None


def _through_normalisation(
    gradient: Tensor, unit: Tensor, norm: Tensor, scale: Tensor | None
) -> tuple[Tensor, Tensor]:
    """From the gradient of u = s x / |x| to that of x, and the part of it along u, times s^2.

    Only what stands across x changes u: g - u (u g) / s^2, times s / |x|.
    """
    along = (gradient * unit).sum(-1, keepdim=True)
    share = torch.gt(norm, SMALLEST_NORM, out=torch.empty_like(norm)).mul_(along)
    if scale is None:
        return gradient.sub_(unit * share).div_(norm), along
    return gradient.sub_(unit * share.div_(scale.square())).mul_(scale / norm), along


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


def _copied(x: Tensor) -> Tensor:
    """A copy in any case, which may be changed: ``contiguous`` hands on what already is."""
    return x.clone(memory_format=torch.contiguous_format)


def _norms(x: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return norms.clamp_(min=SMALLEST_NORM)


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
    weights: Tensor = torch.softmax(logits, dim=-1, out=logits)
    return weights
