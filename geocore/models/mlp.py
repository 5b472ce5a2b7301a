"""The two-layer perceptron of a block, with its gradient in chunks of tokens."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from geocore.models.blocks import ChannelDropout
from geocore.models.dropout import ElementDropout, keep_mask, keep_probability, uses_masks

__all__ = ["Mlp"]

_CHUNK = 1 << 18  # hidden numbers of a chunk: 1 MB in float32
_FEWEST = 512  # tokens of a chunk, below which the matrix products lose more than is gained


class Mlp(nn.Module):
    """W2 drop(gelu(W1 x + b1)) + b2 for each token: ``(batch, tokens, channels)`` to the same.

    ``dropout`` is a module of this room, or the identity. On the CPU a chunk of tokens goes through
    all steps while it is in the cache, and the backward pass computes gelu anew: it is kept before
    it, not before and after. That path can be differentiated once, in backward mode.
    """

    def __init__(self, channels: int, hidden: int, dropout: nn.Module) -> None:
        super().__init__()
        self.expand = nn.Linear(channels, hidden)
        self.contract = nn.Linear(hidden, channels)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        if not uses_masks(x) or self._by_channel():
            plain: Tensor = self.contract(self.dropout(F.gelu(self.expand(x))))
            return plain
        dropout, probability = self.dropout, 0.0
        if self.training and isinstance(dropout, ElementDropout):
            probability = dropout.probability
        expand, contract = self.expand, self.contract
        out: Tensor = _Mlp.apply(
            x, expand.weight, expand.bias, contract.weight, contract.bias, probability
        )
        return out

    def _by_channel(self) -> bool:
        dropout = self.dropout
        return self.training and isinstance(dropout, ChannelDropout) and dropout.probability > 0


class _Mlp(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        expand: Tensor,
        expand_bias: Tensor,
        contract: Tensor,
        contract_bias: Tensor,
        probability: float,
    ) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        differentiated = any(ctx.needs_input_grad)
        hidden = rows.new_empty(len(rows) if differentiated else 0, len(expand))
        kept = hidden.new_empty(hidden.shape, dtype=torch.uint8) if probability else None
        out = rows.new_empty(len(rows), len(contract))
        for some in _chunks(len(rows), len(expand)):
            inner = torch.addmm(expand_bias, rows[some], expand.mT)
            if differentiated:
                hidden[some].copy_(inner)
            inner = F.gelu(inner)
            if probability:
                mask = keep_mask(tuple(inner.shape), probability, inner)
                inner.mul_(mask)
                if kept is not None and differentiated:
                    kept[some].copy_(mask)
            scale = 1 / keep_probability(probability)
            torch.addmm(contract_bias, inner, contract.mT, alpha=scale, out=out[some])
        ctx.save_for_backward(rows, hidden, kept, expand, contract)
        ctx.scale = 1 / keep_probability(probability)
        return out.view(*x.shape[:-1], len(contract))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        rows, hidden, kept, expand, contract = ctx.saved_tensors
        above = gradient.reshape(len(rows), -1)
        below = torch.empty_like(rows)
        to_expand, to_contract = torch.zeros_like(expand), torch.zeros_like(contract)
        to_expand_bias = expand.new_zeros(len(expand))
        for some in _chunks(len(rows), len(expand)):
            into = above[some] * ctx.scale
            inner = F.gelu(hidden[some])
            to_inner = into @ contract
            if kept is not None:
                mask = kept[some].to(inner.dtype)
                inner.mul_(mask)
                to_inner.mul_(mask)
            to_contract.addmm_(into.mT, inner)
            to_hidden = torch.ops.aten.gelu_backward(to_inner, hidden[some])
            to_expand.addmm_(to_hidden.mT, rows[some])
            to_expand_bias += to_hidden.sum(0)
            torch.mm(to_hidden, expand, out=below[some])
        to_bias = above.sum(0)
        return below.view(gradient.shape), to_expand, to_expand_bias, to_contract, to_bias, None


def _chunks(rows: int, hidden: int) -> list[slice]:
    most = max(_FEWEST, _CHUNK // hidden)
    return [slice(first, min(first + most, rows)) for first in range(0, rows, most)]
