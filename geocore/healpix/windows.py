"""Attention windows of HEALPix tokens: their size, their quarters, and what hangs together in one.

A *window* is a run of ``window`` nested pixels, ``window`` a power of four: a square of
``sqrt(window)`` pixels a side within a base face. Its slots are numbered in nested order too, so a
slot's in-window x and y are the even and the odd bits of its number.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from geocore.healpix.adjacency import neighbours
from geocore.healpix.checks import check_nside
from geocore.healpix.grid import nest2xyf, xyf2nest

__all__ = ["connected_labels", "turned_squares", "window_side"]


def window_side(nside: int, window: int) -> int:
    """``sqrt(window)``; ``ValueError`` if ``window`` is no power of four or exceeds a face."""
    check_nside(nside)
    side = math.isqrt(max(window, 0))
    if side * side != window or side & (side - 1) or not side:
        raise ValueError(f"window is {window}; expected a power of four")
    if side > nside:
        raise ValueError(
            f"window is {window}; expected at most a face, {nside**2} at nside {nside}"
        )
    return side


def turned_squares(side: int) -> Tensor:
    """The pixels of a nested square after 0 to 3 quarter turns counter-clockwise.

    A turn takes (x, y) to (side - 1 - y, x). Returns ``(4, side**2)`` int64: row t has, slot by
    slot in nested order, the number of the pixel that t turns have brought there.
    """
    x, y, face = nest2xyf(side, torch.arange(side**2))
    before = xyf2nest(side, y, side - 1 - x, face)
    turned = [torch.arange(side**2)]
    for _ in range(3):
        turned.append(turned[-1][before])
    return torch.stack(turned)


def connected_labels(nside: int, pixels: Tensor) -> Tensor:
    """Two slots of a window have one label iff a path of neighbouring pixels inside it joins them.

    ``pixels``: nested numbers ``(windows, window)`` int64, each once in its window; neighbours are
    the eight of ``neighbours``. Returns labels ``(windows, window)`` int64, from 0 in the order in
    which a window's slots show them.
    """
    windows, window = pixels.shape
    slot = torch.arange(window).expand(windows, window)
    ordered, order = pixels.sort(dim=1)
    around = neighbours(nside, pixels).reshape(windows, 8 * window)
    place = torch.searchsorted(ordered, around).clamp(max=window - 1)
    inside = ordered.gather(1, place) == around
    # Where a neighbour lies outside the window, a slot is its own neighbour.
    linked = torch.where(inside, order.gather(1, place), slot.repeat_interleave(8, dim=1))
    label = slot
    while True:
        lowest = label.gather(1, linked).reshape(windows, window, 8).amin(dim=2)
        lowest = torch.minimum(label, lowest)
        lowest = lowest.gather(1, lowest)  # a label is a slot, whose own label is no higher
        if torch.equal(lowest, label):
            break
        label = lowest
    rank = (label == slot).cumsum(dim=1) - 1
    return rank.gather(1, label)
