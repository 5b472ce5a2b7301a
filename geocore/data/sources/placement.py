"""Squares put on a canvas at random, no two of them overlapping."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["TRIES", "place", "room"]

TRIES = 16

Numbers = npt.NDArray[np.float64]


def room(size: tuple[int, int], side: int) -> int:
    """How many squares of ``side`` pixels a canvas ``(height, width)`` holds at most.

    ``floor(height / side) * floor(width / side)``: so many fit in rows and columns, and no more
    anywhere, since each holds one pixel whose row and column both leave ``side - 1`` when
    divided by ``side``, and there are no more such pixels.
    """
    return (size[0] // side) * (size[1] // side)


def place(
    size: tuple[int, int], side: int, where: Numbers, cells: Numbers
) -> npt.NDArray[np.int64]:
    """Top left corners ``(count, 2)`` of ``count`` squares of ``side`` pixels, inside and disjoint.

    Random sequential placement: each square lies with equal probability at any place that is still
    free. ``where (tries, count)`` are numbers in [0, 1) that choose it. A try that leaves no
    place for a later square is given up and the next one begins anew; after the last, the squares
    go into cells of the tight grid from the top left corner, which ``cells (count,)`` choose, each
    of those still empty with equal probability. So a canvas with ``room`` is always filled.
    Raises ``ValueError`` for more squares than there is room for.
    """
    count = len(cells)
    if where.ndim != 2 or where.shape[1] != count:
        raise ValueError(f"where has shape {where.shape}; expected (tries, {count})")
    if count > room(size, side):
        raise ValueError(
            f"cells has {count} numbers; expected at most {room(size, side)}, the room"
        )
    for numbers in where:
        corners = _sequential(size, side, numbers)
        if corners is not None:
            return corners
    return _in_cells(size, side, cells)


def _sequential(size: tuple[int, int], side: int, numbers: Numbers) -> npt.NDArray[np.int64] | None:
    """One try; None where a square finds no place."""
    free = np.ones((size[0] - side + 1, size[1] - side + 1), bool)
    corners = np.empty((len(numbers), 2), np.int64)
    for corner, number in zip(corners, numbers, strict=True):
        places = np.flatnonzero(free)
        if not len(places):
            return None
        corner[:] = np.unravel_index(places[int(number * len(places))], free.shape)
        top, left = (max(int(at) - side + 1, 0) for at in corner)
        free[top : corner[0] + side, left : corner[1] + side] = False
    return corners


def _in_cells(size: tuple[int, int], side: int, numbers: Numbers) -> npt.NDArray[np.int64]:
    columns = size[1] // side
    empty = list(range(room(size, side)))
    chosen = [empty.pop(int(number * len(empty))) for number in numbers]
    return np.array([divmod(cell, columns) for cell in chosen], np.int64).reshape(-1, 2) * side
