"""The two-layer perceptron of a block, with its gradient in chunks of tokens."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from geocore.models.dropout import ElementDropout, keep_mask, keep_probability
from geocore.models.products import Linear, by_hand, linear, linear_gelu, opaque, opaque_linear

__all__ = ["Mlp"]

_CHUNK = 1 << 18  # hidden numbers of a chunk: 1 MB in float32
_FEWEST = 512  # tokens of a chunk, below which the matrix products lose more than is gained


class Mlp(nn.Module):
    """W2 drop(gelu(W1 x + b1)) + b2 for each token: ``(batch, tokens, channels)`` to the same.

    ``dropout`` is any module. With an ``ElementDropout``, on the CPU, a chunk of tokens goes
    through all steps while it is in the cache, and the backward pass computes gelu anew: what is
    kept is what goes into it, not what comes out as well. That path can be differentiated once,
    in backward mode.
    """

    def __init__(self, channels: int, hidden: int, dropout: nn.Module) -> None:
        super().__init__()
        self.expand = Linear(channels, hidden)
        self.contract = Linear(hidden, channels)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        if opaque(x) and not self.training:
            inner = opaque_linear(x, self.expand.weight, self.expand.bias, gelu=True)
            out: Tensor = self.contract(inner)
            return out
        if not by_hand(x) or not x.numel() or self._drops_otherwise():
            plain: Tensor = self.contract(self.dropout(F.gelu(self.expand(x))))
            return plain
        dropout, probability = self.dropout, 0.0
        if self.training and isinstance(dropout, ElementDropout):
            probability = dropout.probability
        expand, contract = self.expand, self.contract
        maps = (expand.weight, expand.bias, contract.weight, contract.bias)
        out = _Mlp.apply(  # type: ignore[no-untyped-call]
            x, *maps, probability, torch.is_grad_enabled()
        )
        return out

    def _drops_otherwise(self) -> bool:
        return self.training and not isinstance(self.dropout, ElementDropout)


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
        differentiated: bool,
    ) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        ctx.scale = 1 / keep_probability(probability)
        out, kept = [], []
        for some in _chunks(len(rows), len(expand)):
            if differentiated:
                before = linear(rows[some], expand, expand_bias)
                kept.append(before)
                inner = F.gelu(before)
            else:
                inner = linear_gelu(rows[some], expand, expand_bias)
            if probability:
                mask = keep_mask(tuple(inner.shape), probability, inner)
                inner.mul_(mask)
                if differentiated:
                    kept.append(mask.to(torch.uint8))
                out.append(linear(inner, contract).mul_(ctx.scale).add_(contract_bias))
            else:
                out.append(linear(inner, contract, contract_bias))
        ctx.save_for_backward(rows, expand, contract, *kept)
        ctx.masked = probability > 0
        return torch.cat(out).view(*x.shape[:-1], len(contract))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        rows, expand, contract, *kept = ctx.saved_tensors
        above = gradient.reshape(len(rows), -1)
        to_expand: Tensor | None = None
        to_contract: Tensor | None = None
        to_expand_bias = expand.new_zeros(len(expand))
        below = []
        stored = iter(kept)
        for some in _chunks(len(rows), len(expand)):
            before = next(stored)
            inner = F.gelu(before)
            into = above[some]
            if ctx.masked:
                into = into * ctx.scale
                mask = next(stored).to(inner.dtype)
                inner.mul_(mask)
                to_inner = linear(into, contract.mT).mul_(mask)
            else:
                to_inner = linear(into, contract.mT)
            to_contract = _summed(to_contract, into.mT, inner)
            to_before = torch.ops.aten.gelu_backward(to_inner, before)
            to_expand = _summed(to_expand, to_before.mT, rows[some])
            to_expand_bias += to_before.sum(0)
            below.append(linear(to_before, expand.mT))
        to_x = torch.cat(below).view(gradient.shape)
        return to_x, to_expand, to_expand_bias, to_contract, above.sum(0), None, None


def _summed(total: Tensor | None, left: Tensor, right: Tensor) -> Tensor:
    return left @ right if total is None else total.addmm_(left, right)


def _chunks(rows: int, hidden: int) -> list[slice]:
    most = max(_FEWEST, _CHUNK // hidden)
    return [slice(first, min(first + most, rows)) for first in range(0, rows, most)]
