"""Which tokens share a parameter, and which pairs of tokens do.

Tokens are nested HEALPix pixels of a set of faces, ``per_face`` of them a face (a power of four).
Face f lies in row f // 4 and column f % 4; a quarter turn about z takes token (f, p) to
``(4 * (f // 4) + (f + 1) % 4, p)``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from geocore.healpix.grid import check_faces, nest2xyf

__all__ = ["free_pairs", "orbit_pairs", "orbit_positions", "window_pairs"]


def free_pairs(count: int) -> tuple[Tensor, int]:
    """Each pair of a run's tokens has an entry of its own: ``(count, count)``, ``count**2``."""
    return torch.arange(count * count).reshape(count, count), count * count


def window_pairs(count: int) -> tuple[Tensor, int]:
    """Pairs (i, j) of a window's tokens share an entry when x_j - x_i and y_j - y_i agree.

    x and y are the nested in-face coordinates. Returns the entry of each pair, ``(count, count)``
    int64, and how many entries there are, ``(2 sqrt(count) - 1)**2`` (HEAL-SWIN,
    arXiv:2307.07313, relative position bias). Raises ``ValueError`` if ``count`` is no power of
    four.
    """
    side = math.isqrt(max(count, 0))
    if side * side != count or side & (side - 1) or not side:
        raise ValueError(f"count is {count}; expected a power of four")
    x, y, _ = nest2xyf(side, torch.arange(count))
    span = 2 * side - 1
    entry = (x[None, :] - x[:, None] + side - 1) * span + (y[None, :] - y[:, None] + side - 1)
    return entry, span**2


def orbit_positions(faces: Sequence[int], per_face: int) -> tuple[Tensor, int]:
    """Tokens share an entry when quarter turns about z take one to the other.

    An entry is (row, p). Returns the entry of each token, ``(len(faces) * per_face,)`` int64, and
    how many entries there are.
    """
    rows, _ = _rows_and_columns(faces)
    entry = rows[:, None] * per_face + torch.arange(per_face)
    return entry.reshape(-1), (int(rows.max()) + 1) * per_face


def orbit_pairs(faces: Sequence[int], per_face: int) -> tuple[Tensor, int]:
    """Pairs of tokens share an entry when a quarter turn about z takes one pair to the other.

    An entry is (row_i, p_i, row_j, p_j, (column_j - column_i) mod 4). A token mixing whose weights
    depend on the entry alone commutes with the turn. Returns the entry of each pair,
    ``(tokens, tokens)`` int64, and how many entries there are.
    """
    place, places = orbit_positions(faces, per_face)
    _, columns = _rows_and_columns(faces)
    column = columns.repeat_interleave(per_face)
    turns = (column[None, :] - column[:, None]) % 4
    return (place[:, None] * places + place[None, :]) * 4 + turns, places * places * 4


def _rows_and_columns(faces: Sequence[int]) -> tuple[Tensor, Tensor]:
    face = torch.tensor(check_faces(faces))
    _, rows = torch.unique(face // 4, return_inverse=True)  # of the rows that are there, from 0
    return rows, face % 4
