"""Bilinear interpolation: the four pixels around a direction and their weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from geocore.healpix.arithmetic import (
    height_of,
    ring_colatitude,
    ring_start,
    ring_to_xyf,
    xyf_to_nest,
)
from geocore.healpix.checks import Ordering, check_nside, check_ordering
from geocore.healpix.locate import check_angles

__all__ = ["interp_weights"]


def interp_weights(
    nside: int, colatitude: Tensor, longitude: Tensor, ordering: Ordering = "nested"
) -> tuple[Tensor, Tensor]:
    """``f(d) = sum_k weight[k] f[pixel[k]]``: linear in longitude along two rings, then between.

    The rings are those above and below the direction, the pixels on each the ones to its west and
    its east; weights are not negative and sum to one. Beyond the first and the last ring the pole
    stands for a ring, its value the mean of the four pixels around it, so ``pixel`` names those
    four. At a pixel's centre that pixel has weight one, to the angles' precision.

    Angles ``(...)`` in radians -> ``pixel`` int64 and ``weight`` float64, both ``(..., 4)``, laid
    out as four columns. Equal to healpy's ``get_interp_weights``, transposed. Raises
    ``ValueError`` as ``ang2pix`` does.
    """
    check_nside(nside)
    check_ordering(ordering)
    theta, phi = check_angles(colatitude, longitude)
    phi = phi - 2 * math.pi * (phi * (0.5 / math.pi)).floor()
    z, radius = height_of(theta)
    in_cap = (nside * radius).long()
    in_cap = torch.where(z > 0, in_cap, 4 * nside - 1 - in_cap)
    above = torch.where(z.abs() <= 2 / 3, (nside * (2 - 1.5 * z)).long(), in_cap)

    north = _on_ring(nside, above.clamp(min=1), phi)
    south = _on_ring(nside, (above + 1).clamp(max=4 * nside - 1), phi)
    first, last = above == 0, above == 4 * nside - 1
    upper = torch.where(first, 0.0, north[3])
    lower = torch.where(last, math.pi, south[3])
    down = ((theta - upper) / (lower - upper)).clamp(0, 1)

    # A pole gives a quarter of its weight to each of the four pixels of the ring next to it.
    pole = torch.where(first, 0.25 * (1 - down), torch.where(last, 0.25 * down, 0.0))
    above_weight = torch.where(first, 0.0, 1 - down)
    below_weight = torch.where(last, 0.0, down)
    weights = [
        above_weight * (1 - north[2]) + pole,
        above_weight * north[2] + pole,
        below_weight * (1 - south[2]) + pole,
        below_weight * south[2] + pole,
    ]
    base = 12 * nside**2 - 4
    pixels = [
        torch.where(first, (south[0] + 2) & 3, north[0]),
        torch.where(first, (south[1] + 2) & 3, north[1]),
        torch.where(last, ((north[0] + 2) & 3) + base, south[0]),
        torch.where(last, ((north[1] + 2) & 3) + base, south[1]),
    ]
    pixel, weight = torch.stack(pixels), torch.stack(weights)
    if ordering == "nested":
        pixel = xyf_to_nest(nside, *ring_to_xyf(nside, pixel))
    return pixel.movedim(0, -1), weight.movedim(0, -1)


def _on_ring(nside: int, ring: Tensor, phi: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Ring numbers to the west and the east, the part passed between them, the colatitude."""
    length = torch.minimum(ring, 4 * nside - ring).clamp(max=nside)
    count = 4 * length
    in_belt = (ring >= nside) & (ring <= 3 * nside)
    offset = torch.where(in_belt & (((ring - nside) & 1) == 1), 0.0, 0.5)
    along = phi * (2 / math.pi) * length - offset
    whole = along.floor()
    west = whole.long()
    west = torch.where(west < 0, west + count, west)
    west = torch.where(west >= count, west - count, west)
    east = torch.where(west + 1 == count, 0, west + 1)
    start = ring_start(nside, ring, length)
    return start + west, start + east, along - whole, ring_colatitude(nside, ring, length)
