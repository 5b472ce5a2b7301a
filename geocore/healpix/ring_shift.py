"""The ring shift: along the rings of equal latitude, each rolled by itself.

The pixels of a set of faces lie on each ring in *runs*, contiguous stretches; a whole ring is one
run without ends. Each run is rolled by itself: a slot holds the token ``shift`` places further
east, and the run's last slots its first tokens. Half a window's width is

    shift = min(w // 2, L - w), at least 0, with w = min(sqrt(window), q),

where a quarter of the whole ring has q pixels and the run L. In the belt that moves windows by half
their diagonal, (x, y) -> (x + h, y - h), and nothing is torn; near a pole, where a window fills its
quarter of the rings, by half a quarter; towards the end of a tapering run (at the corner of a face
that is the set's edge) by less and less, so that a run that lies in one window stays as it is.

Windows that hold the two ends of a run, or that the rings' different speeds in the caps tear
apart, have labels: slots have one label iff neighbouring pixels inside the window join them. A
quarter turn takes places q further on every ring, so it commutes with the shift exactly (HEAL-SWIN,
arXiv:2307.07313, rolls the whole ring order instead, which does not).
"""

from __future__ import annotations

import torch
from torch import Tensor

from geocore.healpix.arithmetic import ring_of, ring_start
from geocore.healpix.grid import nest2xyf, pixel_numbers, xyf2ring
from geocore.healpix.windows import connected_labels

__all__ = ["ring_shift"]


def ring_shift(nside: int, faces: tuple[int, ...], side: int) -> tuple[Tensor, Tensor]:
    """The permutation ``(tokens,)`` and the labels ``(windows, window)``, int64 both."""
    pixels = pixel_numbers(nside, faces)
    permutation = _rolled_runs(nside, pixels, side)
    moved = pixels[permutation].reshape(-1, side**2)
    labels = torch.zeros_like(moved)
    torn = _may_be_torn(nside, moved, side)
    labels[torn] = connected_labels(nside, moved[torn])
    return permutation, labels


def _rolled_runs(nside: int, pixels: Tensor, side: int) -> Tensor:
    """Where each token of ``pixels`` (nested numbers) comes from, ``(tokens,)``."""
    x, y, face = nest2xyf(nside, pixels)
    ring, quarter = ring_of(nside, x, y, face)
    start = ring_start(nside, ring, quarter)
    number = xyf2ring(nside, x, y, face)
    place = number - start

    present = torch.zeros(12 * nside**2, dtype=torch.bool)
    present[number] = True
    opens = ~present[start + (place - 1) % (4 * quarter)]
    # Places are counted from the opening of a run, so that none lies across the count's end.
    origin = torch.zeros(4 * nside, dtype=torch.int64)
    origin[ring[opens]] = place[opens]
    place = (place - origin[ring]) % (4 * quarter)
    opens = opens | (place == 0)

    order = (4 * nside * ring + place).argsort()
    run = opens[order].cumsum(0) - 1
    length = run.bincount()
    first = (length.cumsum(0) - length)[run]
    length = length[run]
    width = quarter[order].clamp(max=side)
    shift = torch.minimum(width // 2, length - width).clamp(min=0)
    source = first + (torch.arange(len(order)) - first + shift) % length
    permutation = torch.empty_like(order)
    permutation[order] = order[source]
    return permutation


def _may_be_torn(nside: int, windows: Tensor, side: int) -> Tensor:
    """Not the windows that a single vector has moved within a face: their pixels hang together."""
    x, y, face = nest2xyf(nside, windows)
    own_x, own_y, _ = nest2xyf(side, torch.arange(side**2))
    same = torch.ones(len(windows), dtype=torch.bool)
    for coordinate in (x - own_x, y - own_y, face):
        same &= (coordinate == coordinate[:, :1]).all(dim=1)
    return ~same
