"""Layouts hold the same covariances at the same pairs of positions."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

from geocore.kernels.state import KernelState, PooledVariances, displaced, left_displaced

H, W = 3, 4


def maps(copies: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, copies, H, W, dtype=torch.float64, generator=generator)


def state() -> KernelState:
    """``K(p, q) = x(p) x'(q)`` of 2 pairs, 1 and 3 copies, by displacement."""
    left, right = maps(1, 0), maps(3, 1)
    nngp = left_displaced(left) * displaced(right)
    return KernelState(nngp, 2 * nngp, left, right, "displaced", PooledVariances())


def test_displaced_entries_stand_at_the_difference() -> None:
    k, left, right = state().nngp, maps(1, 0), maps(3, 1)
    for dh, h, dw, w in itertools.product(range(H), range(H), range(W), range(W)):
        expected = left[:, :, None, h, w] * right[:, None, :, (h + dh) % H, (w + dw) % W]
        assert torch.equal(k[:, :, :, h, w, dh, dw], expected)


def test_pairs_are_the_outer_products() -> None:
    found = state().as_pairs()
    assert found.layout == "pairs" and found.size == (H, W) and found.ntk is not None
    outer = torch.einsum("bthw,bgij->btghiwj", maps(1, 0), maps(3, 1))
    torch.testing.assert_close(found.nngp, outer, rtol=0, atol=0)
    torch.testing.assert_close(found.ntk, 2 * outer, rtol=0, atol=0)


def test_variances_lie_alike_in_both_layouts() -> None:
    one = state()
    two = one.as_pairs()
    product = [torch.mul(*s.variances.pair(torch.sqrt, torch.exp)) for s in (one, two)]
    there = replace(one, nngp=product[0], ntk=None).as_pairs().nngp
    torch.testing.assert_close(there, product[1], rtol=0, atol=0)


def test_some_rows_are_those_of_all() -> None:
    right = maps(3, 1)
    assert torch.equal(displaced(right, (1, 2)), displaced(right)[..., 1:3, :])


def test_diagonal_is_each_copy_with_itself() -> None:
    f = maps(3, 1)
    nngp = left_displaced(f) * displaced(f)
    own = KernelState(nngp, None, f, f, "displaced", PooledVariances())
    for same in (own, own.as_pairs()):
        torch.testing.assert_close(same.diagonal(), f.square(), rtol=0, atol=0)


def test_dropped_variances_are_told() -> None:
    with pytest.raises(RuntimeError, match="dropped variances"):
        _ = replace(state(), left=None).variances
