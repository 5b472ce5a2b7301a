"""A permutation of tokens whose gradient is a gather, not a sum over an index."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["permute"]


def permute(x: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
    """``x[:, order]`` for ``(batch, tokens, c)``; ``inverse`` is the inverse of ``order``.

    The gradient of ``index_select`` adds rows to zeros one by one; that of a permutation is the
    inverse permutation, at a third of the time. It may be differentiated again.
    """
    if torch.compiler.is_compiling():  # the compiler fuses a gather into what reads it
        return x[:, order]
    out: Tensor = _Permute.apply(x, order, inverse)  # type: ignore[no-untyped-call]
    return out


class _Permute(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
        del inverse
        return x.index_select(1, order)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        del output
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        order, inverse = ctx.saved_tensors
        return permute(gradient, inverse, order), None, None
