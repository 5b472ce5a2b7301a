"""The largest singular value of many Jacobians by products with vectors alone."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import jvp, vjp, vmap

__all__ = ["leading"]


def leading(
    f: Callable[[Tensor], Tensor],
    x: Tensor,
    block: int = 4,
    tolerance: float = 1e-4,
    iterations: int = 100,
    seed: int = 0,
) -> tuple[Tensor, Tensor, Tensor]:
    """``s_1``, ``v_1`` and ``|J^T J v - s^2 v| / s^2`` of the Jacobian of ``f`` at each sample.

    Subspace iteration: ``V <- qr(J^T J V)`` on a block of vectors, by one Jacobian-vector and one
    vector-Jacobian product for each, with the best vector of the block's span by Rayleigh and Ritz.
    The error of ``s_1`` falls by ``(s_(block+1) / s_1)^4`` a round; with a residual r some singular
    value lies within ``r s_1`` of what is found.

    ``f`` maps ``(batch, *input)`` to ``(batch, hidden)``, no sample through another; gives
    ``(batch,)``, ``(batch, inputs)`` and ``(batch,)``. Stops when every residual is at most
    ``tolerance``. Raises ``ValueError`` for a block or a number of iterations below 1. Source:
    Halko, Martinsson and Tropp, arXiv:0909.4061, algorithm 4.4.
    """
    if block < 1 or iterations < 1:
        raise ValueError(f"block, iterations are {block}, {iterations}; expected at least 1")
    inputs = math.prod(x.shape[1:])
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(inputs, min(block, inputs), generator=generator, dtype=torch.float64)
    basis = torch.linalg.qr(start.to(x))[0].expand(len(x), -1, -1)  # (batch, inputs, block)
    with torch.no_grad():
        pull = vjp(f, x)[1]

        def forward(v: Tensor) -> Tensor:  # (batch, inputs) -> (batch, hidden)
            found: Tensor = jvp(f, (x,), (v.view_as(x),))[1]
            return found

        for _ in range(iterations):
            pushed = vmap(forward, in_dims=-1, out_dims=-1)(basis.contiguous())
            # Squares of small numbers vanish: the block's largest is made 1.
            size = pushed.abs().amax(dim=(1, 2), keepdim=True)
            pushed = pushed / torch.where(size > 0, size, torch.ones_like(size))
            values, turn = torch.linalg.eigh(pushed.mT @ pushed)
            basis, pushed = basis @ turn, pushed @ turn
            back = vmap(lambda u: pull(u)[0].flatten(1), in_dims=-1, out_dims=-1)(pushed)
            top, scale = values[:, -1].clamp(min=0), size[:, 0, 0]
            scaled = back / torch.where(size > 0, size, torch.ones_like(size))
            off = (scaled[..., -1] - top[:, None] * basis[..., -1]).norm(dim=1)
            residual = torch.where(top > 0, off / top, torch.zeros_like(top))
            found = top.sqrt() * scale, basis[..., -1], residual
            if bool((residual <= tolerance).all()):
                break
            basis = torch.linalg.qr(scaled)[0]
    return found
