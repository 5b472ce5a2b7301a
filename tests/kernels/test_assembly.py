"""Blocks make the whole matrix, in place; half of them make a symmetric one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from geocore.kernels.assembly import Pair, all_pairs, assemble, in_batches, lower_pairs

Array = npt.NDArray[np.float64]


def product(left: Array, right: Array) -> Array:
    found: Array = np.einsum("ik,jk->ij", left, right) + 1
    return found


def blocks(left: Array, right: Array, size: int, asked: list[Pair]) -> Callable[[int, int], Array]:
    rows, columns = in_batches(len(left), size), in_batches(len(right), size)

    def block(i: int, j: int) -> Array:
        asked.append((i, j))
        return product(left[rows[i]], right[columns[j]])

    return block


@pytest.mark.parametrize("size", [1, 2, 3, 7, 20])
@pytest.mark.parametrize("rows", [1, 7])
def test_blocks_assemble_to_the_whole(rows: int, size: int, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    left, right = random.uniform(size=(rows, 4)), random.uniform(size=(6, 4))
    asked: list[Pair] = []
    whole = np.lib.format.open_memmap(tmp_path / "k.npy", "w+", np.float64, (rows, 6))
    assemble(whole, blocks(left, right, size, asked), size, symmetric=False)
    whole.flush()
    np.testing.assert_array_equal(np.load(tmp_path / "k.npy"), product(left, right))
    assert asked == all_pairs(-(-rows // size), -(-6 // size))
    asked.clear()
    own = np.full((rows, rows), np.nan)
    assemble(own, blocks(left, left, size, asked), size, symmetric=True)
    np.testing.assert_allclose(own, product(left, left), rtol=1e-15)
    np.testing.assert_array_equal(own, own.T)
    assert asked == lower_pairs(-(-rows // size))


def test_what_lies_above_the_diagonal_is_not_read() -> None:
    whole = np.zeros((2, 2))
    assemble(whole, lambda i, j: np.array([[1.0, 9.0], [2.0, 3.0]]), 2, symmetric=True)
    assert whole.tolist() == [[1, 2], [2, 3]]


def test_half_the_pairs() -> None:
    assert lower_pairs(3) == [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]
    assert all_pairs(2, 2) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert len(lower_pairs(100)) == 5050


def test_no_sample_is_lost_and_none_is_there_twice() -> None:
    found = [list(range(7))[place] for place in in_batches(7, 3)]
    assert found == [[0, 1, 2], [3, 4, 5], [6]]
    assert in_batches(2, 5) == [slice(0, 2)]


def test_wrong_blocks() -> None:
    with pytest.raises(ValueError, match=r"block \(1, 0\) has shape \(2, 2\); expected \(1, 2\)"):
        assemble(np.zeros((3, 3)), lambda i, j: np.zeros((2, 2)), 2, symmetric=True)
    with pytest.raises(ValueError, match=r"whole has shape \(3, 2\); expected a square one"):
        assemble(np.zeros((3, 2)), lambda i, j: np.zeros((2, 2)), 2, symmetric=True)
    with pytest.raises(ValueError, match="count is 3 and size 0; expected at least 1 of both"):
        in_batches(3, 0)
