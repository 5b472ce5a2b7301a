"""Mixing the tokens of a run: attention with a learned bias, or an MLP over tokens.

A *run* is a contiguous stretch of nested tokens: a window of one face, or the whole map. Pairs of
tokens of a run that share an entry (``geocore.models.pairs``) share their weight.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Attention", "TokenMlp", "attention_reference"]


class _Mixing(nn.Module):
    """``pairs``: ``(count, count)`` int64, the entry of each pair of a run's tokens."""

    pairs: Tensor

    def __init__(self, channels: int, heads: int, pairs: Tensor) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"channels is {channels}; expected a multiple of heads, {heads}")
        self.heads = heads
        self.width = channels // heads
        self.register_buffer("pairs", pairs, persistent=False)

    def per_pair(self, table: Tensor) -> Tensor:
        """Entries ``(heads, entries)`` laid out by pair, ``(heads, count, count)``."""
        count = len(self.pairs)
        return table.index_select(1, self.pairs.reshape(-1)).reshape(self.heads, count, count)


class Attention(_Mixing):
    """softmax(q k^T / sqrt(d) + b) v within each run of tokens, d = channels / heads.

    The bias b depends on the pair's entry alone: ``bias_table`` is ``(heads, entries)``. Maps
    ``(batch, tokens, channels)`` to the same shape; ``tokens`` is a multiple of a run.
    """

    def __init__(self, channels: int, heads: int, pairs: Tensor, entries: int) -> None:
        super().__init__(channels, heads, pairs)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.bias_table = nn.Parameter(torch.zeros(heads, entries))

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the bias table; the linear maps are drawn as everywhere."""
        nn.init.trunc_normal_(self.bias_table, std=0.02, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, channels = x.shape
        count = len(self.pairs)
        shape = (batch * tokens // count, count, 3, self.heads, self.width)
        # One copy brings all three into the order that batched products read without copying.
        q, k, v = self.qkv(x).reshape(shape).permute(2, 0, 3, 1, 4).contiguous().unbind(0)
        bias = self.per_pair(self.bias_table)
        if x.is_cpu and count <= 64:
            # With a bias that wants a gradient the fused call falls back to this and more.
            logits = torch.add(bias, q @ k.mT, alpha=self.width**-0.5)
            mixed = logits.softmax(-1) @ v
        else:
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, tokens, channels))
        return out


def attention_reference(layer: Attention, x: Tensor) -> Tensor:
    """What ``layer(x)`` is, written out: run by run, head by head, with an explicit softmax."""
    count, width = len(layer.pairs), layer.width
    bias = layer.per_pair(layer.bias_table)
    q, k, v = layer.qkv(x).chunk(3, dim=-1)
    runs = []
    for start in range(0, x.shape[1], count):
        run = slice(start, start + count)
        heads = []
        for head in range(layer.heads):
            part = slice(head * width, (head + 1) * width)
            logits = q[:, run, part] @ k[:, run, part].mT / width**0.5 + bias[head]
            weights = (logits - logits.amax(-1, keepdim=True)).exp()
            heads.append(weights / weights.sum(-1, keepdim=True) @ v[:, run, part])
        runs.append(torch.cat(heads, dim=-1))
    out: Tensor = layer.out(torch.cat(runs, dim=1))
    return out


class TokenMlp(_Mixing):
    """W2 gelu(W1 x + b1) over the tokens of each run, the channels in ``heads`` groups.

    A group has matrices ``(count, count)`` of its own, whose entries are shared as ``pairs`` says;
    the bias is one number a group. Maps ``(batch, tokens, channels)`` to the same shape.
    """

    def __init__(self, channels: int, heads: int, pairs: Tensor, entries: int) -> None:
        super().__init__(channels, heads, pairs)
        self.inner_table = nn.Parameter(torch.zeros(heads, entries))
        self.inner_bias = nn.Parameter(torch.zeros(heads, 1, 1))
        self.outer_table = nn.Parameter(torch.zeros(heads, entries))

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the tables so that a token's variance is kept."""
        std = len(self.pairs) ** -0.5
        for table in (self.inner_table, self.outer_table):
            nn.init.trunc_normal_(table, std=std, a=-2 * std, b=2 * std, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, channels = x.shape
        count = len(self.pairs)
        shape = (batch * tokens // count, count, self.heads, self.width)
        # (heads, token, run and channel): a product for each group, over all runs at once.
        runs = x.reshape(shape).permute(2, 1, 0, 3).reshape(self.heads, count, -1)
        inner = F.gelu(torch.baddbmm(self.inner_bias, self.per_pair(self.inner_table), runs))
        mixed = (self.per_pair(self.outer_table) @ inner).reshape(self.heads, count, -1, self.width)
        return mixed.permute(2, 1, 0, 3).reshape(batch, tokens, channels)
