"""Attention in windows: dot products or cosines, a learned bias, labels where places meet."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocore.models.chunked_attention import SMALLEST_NORM, attend_in_chunks
from geocore.models.products import Linear, by_hand

__all__ = ["WindowAttention", "attend"]

_LARGEST_LOG_SCALE = math.log(100.0)


def attend(
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
    """softmax(q k^T / sqrt(d) + b) v, or softmax(s cos(q, k) + b) v, within windows.

    ``qkv`` is ``(batch, slots, 3 channels)``: queries, keys and values, in each the heads' ``d``
    channels one after the other; a window is a contiguous run of ``window`` slots. ``scale``
    ``(heads, 1, 1)`` is s, None for dot products; ``bias`` b is ``(heads, window, window)``.
    Slots of the last ``len(labels)`` windows attend to those of their own label alone, to others
    with weight exactly 0. Weights are dropped with ``probability``, and multiplied by ``factors``
    ``(batch, heads, window, window)``. Returns ``(batch, slots, channels)``.
    """
    batch, slots, channels = qkv.shape
    windows, width = slots // window, channels // 3 // heads
    parts = qkv.reshape(batch, windows, window, 3, heads, width)
    q, k, v = parts.permute(3, 0, 1, 4, 2, 5).unbind(0)
    if scale is not None:
        q = F.normalize(q, dim=-1, eps=SMALLEST_NORM) * scale
        k = F.normalize(k, dim=-1, eps=SMALLEST_NORM)
    else:
        q = q * width**-0.5
    free = windows if labels is None else windows - len(labels)
    mixed = []
    if free:
        mixed.append(_mix(q[:, :free], k[:, :free], v[:, :free], bias, probability, factors))
    if labels is not None:
        apart = labels[:, :, None] != labels[:, None, :]
        mask = torch.zeros_like(apart, dtype=q.dtype).masked_fill(apart, -torch.inf)[:, None]
        mask = mask if bias is None else mask + bias
        mixed.append(_mix(q[:, free:], k[:, free:], v[:, free:], mask, probability, factors))
    out = mixed[0] if len(mixed) == 1 else torch.cat(mixed, dim=1)
    return out.transpose(2, 3).reshape(batch, slots, channels // 3)


def _mix(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    added: Tensor | None,
    probability: float,
    factors: Tensor | None,
) -> Tensor:
    if _fuses(q) and factors is None:
        return _fused(q, k, v, added, probability)
    logits = q @ k.mT
    weights = (logits if added is None else logits + added).softmax(-1)
    if probability:
        weights = F.dropout(weights, probability)
    if factors is not None:
        weights = weights * factors[:, None]
    return weights @ v


def _fuses(q: Tensor) -> bool:
    return q.is_cuda


def _fused(q: Tensor, k: Tensor, v: Tensor, added: Tensor | None, probability: float) -> Tensor:
    """By the fused kernels, which take one axis of batches and a mask of the same four axes."""
    batch, windows, heads, window, _ = q.shape
    mask = None
    if added is not None:
        mask = added.expand(batch, windows, heads, window, window).flatten(0, 1).to(q.dtype)
    q, k, v = q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1)
    mixed: Tensor = F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, dropout_p=probability, scale=1.0
    )
    return mixed.unflatten(0, (batch, windows))  # type: ignore[no-any-return]


class WindowAttention(nn.Module):
    """Attention of the slots of each window, between two linear maps.

    Maps ``(batch, slots, channels)`` to the same shape. ``pairs`` ``(window, window)`` int64 is the
    entry of each pair in a table of ``entries`` biases a head; None for no bias. With ``cosine``
    the logits are cosines times a learned scale a head, which starts at 10 and stays below 100
    (Swin V2, arXiv:2111.09883, eq. 2). ``dropout`` applies to the weights: each by itself, or with
    ``dropout_kind`` ``channel`` all those of a sample with one entry at once, which quarter turns
    keep.
    """

    pairs: Tensor | None

    def __init__(
        self,
        channels: int,
        heads: int,
        window: int,
        pairs: Tensor,
        entries: int,
        *,
        bias: bool = True,
        cosine: bool = False,
        dropout: float = 0.0,
        dropout_kind: Literal["element", "channel"] = "element",
    ) -> None:
        super().__init__()
        if heads < 1 or channels % heads:
            raise ValueError(f"channels is {channels}; expected a multiple of heads, {heads}")
        if pairs.shape != (window, window):
            raise ValueError(f"pairs has shape {tuple(pairs.shape)}; expected {(window, window)}")
        self.heads, self.window, self.entries = heads, window, entries
        self.dropout, self.dropout_kind = dropout, dropout_kind
        self.qkv = Linear(channels, 3 * channels)
        self.out = Linear(channels, channels)
        self.log_scale = nn.Parameter(torch.zeros(heads, 1, 1)) if cosine else None
        self.bias_table = nn.Parameter(torch.zeros(heads, entries)) if bias else None
        self.register_buffer("pairs", pairs, persistent=False)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the bias table and set the scale; the linear maps are drawn as everywhere."""
        if self.bias_table is not None:
            nn.init.trunc_normal_(self.bias_table, std=0.02, generator=generator)
        if self.log_scale is not None:
            nn.init.constant_(self.log_scale, math.log(10.0))

    def bias(self) -> Tensor | None:
        """The bias of each head and pair of slots, ``(heads, window, window)``."""
        return None if self.bias_table is None else self._by_pair(self.bias_table)

    def scale(self) -> Tensor | None:
        """The scale of each head, ``(heads, 1, 1)``; None for dot products."""
        if self.log_scale is None:
            return None
        return self.log_scale.clamp(max=_LARGEST_LOG_SCALE).exp()

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """``labels`` ``(m, window)`` are those of the last m windows."""
        if x.ndim != 3 or x.shape[1] % self.window or x.shape[2] != self.qkv.in_features:
            expected = f"(batch, windows of {self.window} slots, {self.qkv.in_features})"
            raise ValueError(f"x has shape {tuple(x.shape)}; expected {expected}")
        if labels is not None and not 1 <= len(labels) <= x.shape[1] // self.window:
            found = f"{len(labels)} windows, and x {x.shape[1] // self.window}"
            raise ValueError(f"labels has {found}; expected at least one and at most as many")
        probability, factors = self.dropout if self.training else 0.0, None
        if probability and self.dropout_kind == "channel":
            drawn = x.new_empty(len(x), self.heads, self.entries).bernoulli_(1 - probability)
            factors = self._by_pair(drawn.div_(1 - probability))
            probability = 0.0
        core = attend_in_chunks if by_hand(x) else attend
        mixed = core(
            self.qkv(x),
            self.heads,
            self.window,
            scale=self.scale(),
            bias=self.bias(),
            labels=labels,
            probability=probability,
            factors=factors,
        )
        out: Tensor = self.out(mixed)
        return out

    def _by_pair(self, table: Tensor) -> Tensor:
        """Entries ``(..., entries)`` laid out by pair, ``(..., window, window)``."""
        assert self.pairs is not None
        flat = table.index_select(-1, self.pairs.reshape(-1))
        return flat.reshape(*table.shape[:-1], self.window, self.window)
