"""Blocks make the whole matrix; half of them make a symmetric one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from geocore.kernels.assembly import Pair, all_pairs, assemble, in_batches, lower_pairs


def product(left: Tensor, right: Tensor) -> Tensor:
    return left @ right.T + 1


def blocks(
    pairs: list[Pair], left: Tensor, right: Tensor, size: int, kernel: Callable[..., Tensor]
) -> dict[Pair, Tensor]:
    rows, columns = in_batches(len(left), size), in_batches(len(right), size)
    return {(i, j): kernel(left[rows[i]], right[columns[j]]) for i, j in pairs}


@pytest.mark.parametrize("size", [1, 2, 3, 7, 20])
@pytest.mark.parametrize("rows", [1, 7])
def test_blocks_assemble_to_the_whole(rows: int, size: int) -> None:
    left, right = torch.rand(rows, 4).double(), torch.rand(6, 4).double()
    pairs = all_pairs(-(-rows // size), -(-6 // size))
    whole = assemble(blocks(pairs, left, right, size, product), rows, 6)
    torch.testing.assert_close(whole, product(left, right), rtol=1e-14, atol=0)
    half = lower_pairs(-(-rows // size))
    symmetric = assemble(blocks(half, left, left, size, product), rows)
    torch.testing.assert_close(symmetric, product(left, left), rtol=1e-14, atol=0)
    assert torch.equal(symmetric, symmetric.T)


def test_what_lies_above_the_diagonal_is_not_read() -> None:
    above = torch.tensor([[1.0, 9.0], [2.0, 3.0]])
    assert assemble({(0, 0): above}, 2).tolist() == [[1, 2], [2, 3]]


def test_half_the_pairs() -> None:
    assert lower_pairs(3) == [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]
    assert all_pairs(2, 2) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert len(lower_pairs(100)) == 5050


def test_every_batch_is_full_and_none_is_lost() -> None:
    found = [places.tolist() for places in in_batches(7, 3)]
    assert found == [[0, 1, 2], [3, 4, 5], [6, 6, 6]]
    assert np.array_equal(np.concatenate(in_batches(6, 3)), np.arange(6))
    assert in_batches(2, 5)[0].tolist() == [0, 1, 1, 1, 1]


def test_wrong_blocks() -> None:
    block = torch.zeros(2, 2)
    with pytest.raises(ValueError, match=r"block \(1, 0\) is missing; expected those of 3 pairs"):
        assemble({(0, 0): block, (1, 1): block}, 3)
    with pytest.raises(ValueError, match=r"block \(0, 1\) is left over; expected those of 1 pairs"):
        assemble({(0, 0): block, (0, 1): block}, 2, 2)
    with pytest.raises(ValueError, match=r"shapes \[\(2, 2\), \(3, 3\)\]; expected one"):
        assemble({(0, 0): block, (1, 0): torch.zeros(3, 3)}, 3)
    with pytest.raises(ValueError, match="count is 3 and size 0; expected at least 1 of both"):
        in_batches(3, 0)
