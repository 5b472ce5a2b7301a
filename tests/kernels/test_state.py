"""Layouts hold the same covariances at the same pairs of positions; scales change no kernel."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

from geocore.kernels.state import KernelState, Side, displaced

H, W = 3, 4


def maps(copies: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, copies, H, W, dtype=torch.float64, generator=generator)


def side(f: torch.Tensor) -> Side:
    return Side(f[:, :, None], [f])


def state(left: torch.Tensor | None = None, right: torch.Tensor | None = None) -> KernelState:
    """``K(p, q) = x(p) x'(q)`` of 2 blocks, 1 and 3 copies, by displacement; the maps as notes."""
    left = maps(1, 0) if left is None else left
    right = maps(3, 1) if right is None else right
    nngp = left[..., None, None, None] * displaced(right)
    return KernelState(nngp, 2 * nngp, "displaced", side(left), side(right), rows=(0, H))


def kernel(held: torch.Tensor | None) -> torch.Tensor:
    assert held is not None
    return held


def test_displaced_entries_stand_at_the_difference() -> None:
    k, left, right = kernel(state().nngp), maps(1, 0), maps(3, 1)
    for dh, h, dw, w in itertools.product(range(H), range(H), range(W), range(W)):
        expected = left[:, :, None, h, w] * right[:, None, :, (h + dh) % H, (w + dw) % W]
        assert torch.equal(k[:, :, h, w, :, dh, dw], expected)


def test_pairs_are_the_outer_products() -> None:
    found = state().as_pairs()
    assert found.layout == "pairs" and found.size == (H, W)
    outer = torch.einsum("bthw,bgij->bthwgij", maps(1, 0), maps(3, 1))
    torch.testing.assert_close(found.nngp, outer, rtol=0, atol=0)
    torch.testing.assert_close(found.ntk, 2 * outer, rtol=0, atol=0)


def test_variances_lie_alike_in_both_layouts() -> None:
    found = []
    for held in (state(), state().as_pairs()):
        variances, after = held.ask()
        assert variances is not None and after.taken == 1
        torch.testing.assert_close(variances.product(0.5), 0.5 * kernel(held.nngp))
        product = torch.mul(*variances.pair(torch.sqrt, torch.exp))
        found.append(kernel(replace(held, nngp=product, ntk=None).as_pairs().nngp))
    torch.testing.assert_close(*found, rtol=0, atol=0)


def test_some_rows_are_those_of_all() -> None:
    right = maps(3, 1)
    assert torch.equal(displaced(right, (1, 2)), displaced(right)[..., 1:3, :])


def test_a_side_lays_out_whole_maps_once() -> None:
    one, f = side(maps(3, 1)), maps(3, 1)
    assert one.displaced("note", 0, f, (0, H)) is one.displaced("note", 0, f, (0, H))
    assert torch.equal(one.displaced("note", 0, f, (1, 1)), displaced(f, (1, 1)))


def test_a_side_is_a_block_of_all_its_copies() -> None:
    f = maps(3, 1)
    both = Side(f[:, :, None], [f[:, :1]], 3).block(slice(0, 2), 2)
    assert torch.equal(both.inputs, f[:, :2].reshape(1, 4, 1, H, W)) and both.each == 2
    assert torch.equal(both.notes[0], f[:, 0][None])


def test_diagonal_is_each_copy_with_itself() -> None:
    own = state(maps(3, 1), maps(3, 1))
    for same in (own, own.as_pairs()):
        torch.testing.assert_close(same.diagonal(), maps(3, 1).square(), rtol=0, atol=0)


@pytest.mark.parametrize("scale", [0.5, 1e-9, 1e9])
def test_scales_change_no_kernel(scale: float) -> None:
    """Far from 1 they are applied, so that what is held neither grows nor falls with the depth."""
    nngp, found = kernel(state().nngp), state().scaled(scale)
    assert found.scale in (1, 0.5)
    torch.testing.assert_close(found.scale * kernel(found.nngp), scale * nngp)
    torch.testing.assert_close(kernel(found.applied().ntk), 2 * scale * nngp)
    biased = replace(found, own=maps(1, 0)).weighted(4.0, 0.3).applied()
    torch.testing.assert_close(biased.nngp, 4 * scale * nngp + 0.3)
    torch.testing.assert_close(biased.ntk, 12 * scale * nngp + 0.3)
    torch.testing.assert_close(biased.own, 4 * found.scale * maps(1, 0) + 0.3)


def test_dropped_variances_are_told() -> None:
    with pytest.raises(RuntimeError, match="dropped variances"):
        replace(state(), noted=[]).ask()
