"""A kernel matrix from blocks over pairs of batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

__all__ = ["Pair", "all_pairs", "assemble", "in_batches", "lower_pairs"]

Pair = tuple[int, int]


def in_batches(count: int, size: int) -> list[npt.NDArray[np.int64]]:
    """Places of ``count`` samples, ``size`` at a time, every batch full.

    The last batch repeats the last sample: one shape for all is one compiled kernel, and
    ``assemble`` drops what was added. Raises ``ValueError`` for no samples or a ``size`` below 1.
    """
    if size < 1 or count < 1:
        raise ValueError(f"count is {count} and size {size}; expected at least 1 of both")
    places = np.minimum(np.arange(-(-count // size) * size), count - 1)
    return list(places.reshape(-1, size))


def lower_pairs(batches: int) -> list[Pair]:
    """Pairs ``(i, j)`` with ``j <= i``: what a symmetric kernel matrix needs."""
    return [(i, j) for i in range(batches) for j in range(i + 1)]


def all_pairs(rows: int, columns: int) -> list[Pair]:
    """Every pair ``(i, j)`` with ``i < rows`` and ``j < columns``."""
    return [(i, j) for i in range(rows) for j in range(columns)]


def assemble(blocks: Mapping[Pair, Tensor], rows: int, columns: int | None = None) -> Tensor:
    """The matrix ``(rows, columns)`` whose block ``(i, j)`` is ``blocks[i, j]``, all of one shape.

    Without ``columns`` it is the symmetric matrix of the blocks of ``lower_pairs``: what lies above
    the diagonal, inside the diagonal's blocks too, mirrors what lies below. Raises ``ValueError``
    if blocks are missing, left over, or of different shapes.
    """
    shapes = sorted({tuple(block.shape) for block in blocks.values()})
    if len(shapes) != 1 or len(shapes[0]) != 2 or 0 in shapes[0]:
        raise ValueError(f"blocks have shapes {shapes}; expected one shape, (batch, batch)")
    high, wide = shapes[0]
    down = -(-rows // high)
    across = down if columns is None else -(-columns // wide)
    _require(blocks, lower_pairs(down) if columns is None else all_pairs(down, across))
    whole = blocks[0, 0].new_zeros(down * high, across * wide)
    for (i, j), block in blocks.items():
        whole[i * high : (i + 1) * high, j * wide : (j + 1) * wide] = block
    if columns is None:
        lower = whole[:rows, :rows].tril()
        return lower + lower.tril(-1).T
    return whole[:rows, :columns].contiguous()


def _require(found: Mapping[Pair, Tensor], wanted: Sequence[Pair]) -> None:
    wrong = sorted(set(found).symmetric_difference(wanted))
    if wrong:
        state = "left over" if wrong[0] in found else "missing"
        raise ValueError(f"block {wrong[0]} is {state}; expected those of {len(wanted)} pairs")
