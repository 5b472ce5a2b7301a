"""A fixed sparse linear operator with a few points a row: interpolation on a fixed geometry."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Stencil"]

_TABLE = 2**17  # numbers of the transposed input held at a time: they stay in the cache
_LANES = (16, 256)  # at least and at most so many maps side by side


class Stencil(nn.Module):
    """``y[b, p, c] = sum_k weight[p, k] x[b, index[p, k], c]``; rows of weights zero give zero.

    ``index`` int64 and ``weight``, both ``(rows, points)``, with indices below ``columns``; the
    buffers keep the weights' number type, which the maps must have. Differentiable in ``x``.

    The input is transposed in chunks, so that a row's points are read as long contiguous runs
    over the batch (an ``embedding_bag`` whose vocabulary is the input's pixels). That is an order
    of magnitude faster than gathering ``(batch, rows, points)``; see ``reference``.
    """

    index: Tensor
    weight: Tensor
    offsets: Tensor
    place: Tensor

    def __init__(self, index: Tensor, weight: Tensor, columns: int) -> None:
        super().__init__()
        if index.ndim != 2 or index.shape != weight.shape:
            found = f"{tuple(index.shape)} and {tuple(weight.shape)}"
            raise ValueError(f"index and weight have shapes {found}; expected one (rows, points)")
        if index.numel() and not 0 <= int(index.min()) <= int(index.max()) < columns:
            found = f"{int(index.min())} to {int(index.max())}"
            raise ValueError(f"index runs from {found}; expected 0 to {columns - 1}")
        active = (weight != 0).any(dim=1)
        count, points = int(active.sum()), index.shape[1]
        # Each row that is not zero is one bag; an empty bag behind them gives the zeros of all
        # others. `place` is where each row of the result comes from.
        bags = torch.cat([torch.arange(count + 1), torch.tensor([count])]) * points
        place = torch.where(active, active.long().cumsum(0) - 1, count)
        self.columns, self.points = columns, points
        self.register_buffer("index", index[active].reshape(-1).contiguous())
        self.register_buffer("weight", weight[active].reshape(-1).contiguous())
        self.register_buffer("offsets", bags.to(index.device))
        self.register_buffer("place", place)

    @property
    def rows(self) -> int:
        """Rows of the operator, zero ones included."""
        return len(self.place)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, columns, channels)`` -> ``(batch, rows, channels)``."""
        self._check(x)
        batch, _, channels = x.shape
        low, high = _LANES
        lanes = min(max(_TABLE // self.columns, low), high)
        if batch * channels == 0:
            return x.new_zeros(batch, self.rows, channels)
        chunks = x.split(max(1, lanes // channels))
        if x.requires_grad and torch.is_grad_enabled():
            return torch.cat([self._bags(chunk)[:, self.place] for chunk in chunks])
        out = x.new_empty(batch, self.rows, channels)
        for chunk, part in zip(chunks, out.split(len(chunks[0])), strict=True):
            torch.index_select(self._bags(chunk), 1, self.place, out=part)
        return out

    def reference(self, x: Tensor) -> Tensor:
        """What ``forward`` computes, as plain arithmetic: rows of zero weights included."""
        self._check(x)
        points = x[:, self.index] * self.weight[:, None]
        bags, channels = len(self.offsets) - 2, x.shape[2]
        sums = points.reshape(len(x), bags, self.points, channels).sum(dim=2)
        zeros = x.new_zeros(len(x), 1, channels)
        return torch.cat([sums, zeros], dim=1)[:, self.place]

    def _bags(self, chunk: Tensor) -> Tensor:
        """``(chunk, columns, channels)`` -> ``(chunk, bags, channels)``, the last bag zero."""
        batch, _, channels = chunk.shape
        # Not a view, whose strides could lead embedding_bag to another kernel, which rounds
        # differently: a map's values are not to depend on its batch.
        table = chunk.transpose(0, 1).clone(memory_format=torch.contiguous_format)
        table = table.view(self.columns, batch * channels)
        sums = F.embedding_bag(
            self.index,
            table,
            self.offsets,
            mode="sum",
            per_sample_weights=self.weight,
            include_last_offset=True,
        )
        return sums.view(-1, batch, channels).transpose(0, 1).contiguous()

    def _check(self, x: Tensor) -> None:
        if x.ndim != 3 or x.shape[1] != self.columns:
            expected = f"(batch, {self.columns}, channels)"
            raise ValueError(f"x has shape {tuple(x.shape)}; expected {expected}")
        if x.dtype != self.weight.dtype:
            raise TypeError(f"x is {x.dtype}; expected {self.weight.dtype}, as the weights are")
