"""Which pixels touch: the eight neighbours of a pixel, and of a base face."""

from __future__ import annotations

import torch
from torch import Tensor

from geocore.healpix.arithmetic import (
    bits_of,
    nest_to_xyf,
    ring_to_xyf,
    xyf_to_nest,
    xyf_to_ring,
)
from geocore.healpix.bits import EVEN
from geocore.healpix.checks import Ordering, check_ordering, check_pixel

__all__ = ["DIRECTIONS", "face_neighbours", "neighbours"]

# Clockwise from the south-west; x grows to the north-east, y to the north-west.
DIRECTIONS = ("SW", "W", "NW", "N", "NE", "E", "SE", "S")
_STEPS = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))

# What lies across an edge or a corner of a face in the rows 0-3, 4-7 and 8-11: the row there, and
# by how much the column grows (the columns of a belt row lie half a step to the west of those of a
# cap row). Eight corners between three faces have nothing.
_ACROSS = {
    "SW": ((1, 0), (2, -1), (2, -1)),
    "W": (None, (1, -1), None),
    "NW": ((0, -1), (0, -1), (1, 0)),
    "N": ((0, 2), None, (0, 0)),
    "NE": ((0, 1), (0, 0), (1, 1)),
    "E": (None, (1, 1), None),
    "SE": ((1, 1), (2, 0), (2, 1)),
    "S": ((2, 0), None, (2, 2)),
}
_DIRECTION = dict(zip(_STEPS, DIRECTIONS, strict=True))
_NOWHERE = 15  # in the four bits of a face


def _packed(direction: str) -> int:
    """The face across, for each face in four bits of its own: a table within one integer."""
    table = 0
    for face in range(12):
        across = _ACROSS[direction][face // 4]
        found = _NOWHERE if across is None else 4 * across[0] + (face + across[1]) % 4
        table |= found << (4 * face)
    return table


_FACES = {direction: _packed(direction) for direction in DIRECTIONS}


def face_neighbours() -> Tensor:
    """The faces around each base face in the order of ``DIRECTIONS``, -1 for none: ``(12, 8)``.

    SW, NW, NE and SE are shared edges, the others shared corners. The law is that of
    ``neighbours`` at nside 1.
    """
    return neighbours(1, torch.arange(12))


def neighbours(nside: int, pixel: Tensor, ordering: Ordering = "nested") -> Tensor:
    """The eight pixels around each, SW, W, NW, N, NE, E, SE, S: ``(...)`` -> ``(..., 8)`` int64.

    -1 where there is none: at the eight corners where only three faces meet, so 24 pixels of
    every grid with ``nside > 1`` have seven neighbours, and each face itself has six. Equal to
    healpy's ``get_all_neighbours``, transposed, and laid out as eight columns. Raises
    ``ValueError`` or ``TypeError`` for a number that is no pixel's.

    In nested order x and y are the even and the odd bits: a step along one of them is an addition
    that carries over the other's bits, and ``nside - 1 - x`` is an exclusive or.
    """
    check_ordering(ordering)
    check_pixel(nside, pixel)
    nested = pixel if ordering == "nested" else xyf_to_nest(nside, *ring_to_xyf(nside, pixel))
    bits = 2 * bits_of(nside)
    even = EVEN & ((1 << bits) - 1)
    odd = even << 1
    face, x, y = nested >> bits, nested & even, nested & odd

    steps_x = {-1: (x - 1) & even, 0: x, 1: ((x | odd) + 1) & even}
    steps_y = {-1: (y - 2) & odd, 0: y, 1: ((y | even) + 2) & odd}
    outside_x = {-1: x == 0, 1: x == even}
    outside_y = {-1: y == 0, 1: y == odd}
    at_pole = {-1: face >= 8, 1: face < 4}  # where a step of that sign may cross a polar seam
    found = []
    for direction, (dx, dy) in zip(DIRECTIONS, _STEPS, strict=True):
        place = steps_x[dx] | steps_y[dy]
        there = _across(direction, face)
        # Across a polar seam the face is turned: (x, y) -> (y, -x), (-y, x), or both: (-x, -y).
        if dx and dy:
            edge_x, edge_y = outside_x[dx], outside_y[dy]
            there = torch.where(edge_y, there, _across(_DIRECTION[dx, 0], face))
            aside = torch.where(edge_y, _across(_DIRECTION[0, dy], face), face)
            there = torch.where(edge_x, there, aside)
            turned_x, turned_y = edge_x & at_pole[dx], edge_y & at_pole[dy]
            place = torch.where(turned_x ^ turned_y, _swapped(place, even, odd), place)
            place = place ^ torch.where(turned_x, odd, 0) ^ torch.where(turned_y, even, 0)
        else:
            step, edge, flip = (dx, outside_x, odd) if dx else (dy, outside_y, even)
            there = torch.where(edge[step], there, face)
            turned = _swapped(place, even, odd) ^ flip
            place = torch.where(edge[step] & at_pole[step], turned, place)
        found.append(torch.where(there == _NOWHERE, -1, (there << bits) | place))
    around = torch.stack(found)
    if ordering == "ring":
        ring = xyf_to_ring(nside, *nest_to_xyf(nside, around.clamp(min=0)))
        around = torch.where(around < 0, -1, ring)
    return around.movedim(0, -1)


def _across(direction: str, face: Tensor) -> Tensor:
    return (_FACES[direction] >> (4 * face)) & 15


def _swapped(place: Tensor, even: int, odd: int) -> Tensor:
    """The bits of x and y exchanged."""
    return ((place & even) << 1) | ((place & odd) >> 1)
