"""A kernel matrix from blocks over pairs of batches, written where it is to lie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Pair", "all_pairs", "assemble", "in_batches", "lower_pairs"]

Pair = tuple[int, int]
Array = npt.NDArray[Any]


def in_batches(count: int, size: int) -> list[slice]:
    """``count`` samples, ``size`` at a time; the last batch holds what is left.

    Raises ``ValueError`` for no samples or a ``size`` below 1.
    """
    if size < 1 or count < 1:
        raise ValueError(f"count is {count} and size {size}; expected at least 1 of both")
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def lower_pairs(batches: int) -> list[Pair]:
    """Pairs ``(i, j)`` with ``j <= i``: what a symmetric kernel matrix needs."""
    return [(i, j) for i in range(batches) for j in range(i + 1)]


def all_pairs(rows: int, columns: int) -> list[Pair]:
    """Every pair ``(i, j)`` with ``i < rows`` and ``j < columns``."""
    return [(i, j) for i in range(rows) for j in range(columns)]


def assemble(
    whole: Array, block: Callable[[int, int], Array], size: int, *, symmetric: bool
) -> None:
    """Fill ``whole (rows, columns)`` with ``block(i, j)`` of the batches of ``size`` samples.

    A symmetric matrix takes the blocks of ``lower_pairs``: what lies above the diagonal, inside the
    diagonal's blocks too, mirrors what lies below. Blocks are asked for one at a time, row by row,
    and written at once: with a memory-mapped ``whole`` memory holds one block. Raises
    ``ValueError`` for a block of another shape, and a symmetric matrix that is not square.
    """
    rows, columns = (in_batches(count, size) for count in whole.shape)
    if symmetric and whole.shape[0] != whole.shape[1]:
        raise ValueError(f"whole has shape {whole.shape}; expected a square one if symmetric")
    pairs = lower_pairs(len(rows)) if symmetric else all_pairs(len(rows), len(columns))
    for i, j in pairs:
        found = block(i, j)
        expected = tuple(place.stop - place.start for place in (rows[i], columns[j]))
        if found.shape != expected:
            raise ValueError(f"block {(i, j)} has shape {found.shape}; expected {expected}")
        if symmetric and i == j:
            lower = np.tril(found)
            found = lower + np.tril(found, -1).T
        whole[rows[i], columns[j]] = found
        if symmetric and i > j:
            whole[rows[j], columns[i]] = found.T
