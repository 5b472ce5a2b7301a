"""The pixels of a disc, found from coarse to fine."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from geocore.healpix.arithmetic import centre_of, extent_of, nest_to_xyf, xyf_to_ring
from geocore.healpix.checks import Ordering, check_nside, check_ordering
from geocore.healpix.locate import check_vectors

__all__ = ["query_disc"]

_FINEST = 2**24  # the closed forms are exact to there
_OUTSIDE, _NEAR, _CENTRE, _WITHIN = range(4)  # how much of a pixel may lie in the disc


def query_disc(
    nside: int,
    centre: Tensor,
    radius: float,
    *,
    inclusive: bool = False,
    oversampling: int = 4,
    ordering: Ordering = "nested",
) -> Tensor:
    """The pixels whose centres lie within ``radius`` (radians) of a direction, rising, int64.

    ``inclusive`` adds those of which the disc may cover a part: all that it does cover, and of the
    others those with a pixel of ``oversampling * nside`` (a power of two) whose centre is nearer
    than ``radius`` plus that grid's ``pixel_radius``. Equal to healpy's ``query_disc`` in nested
    order, as a set.

    A pixel's relatives are looked at from the base faces down, and only where the disc's edge may
    pass, so the work is as the length of the edge. ``centre (3,)`` need not be of length one.
    The result's length depends on the values, so ``torch.compile`` breaks its graph here. Raises
    ``ValueError`` for what is no direction, radius or power of two.
    """
    check_nside(nside)
    check_ordering(ordering)
    if centre.shape != (3,):
        raise ValueError(f"centre has shape {tuple(centre.shape)}; expected (3,)")
    if not radius >= 0:
        raise ValueError(f"radius is {radius}; expected radians, at least 0")
    if oversampling < 1 or oversampling & (oversampling - 1) or oversampling * nside > _FINEST:
        limit = _FINEST // nside
        raise ValueError(f"oversampling is {oversampling}; expected a power of two up to {limit}")
    direction = torch.stack(check_vectors(centre))
    direction = direction / direction.norm()

    bits = nside.bit_length() - 1
    pixel = torch.arange(12, device=centre.device)
    found = []
    for level in range(bits):
        zone = _zones(1 << level, pixel, direction, radius)
        found.append(_below(pixel[zone == _WITHIN], bits - level))
        pixel = _below(pixel[(zone > _OUTSIDE) & (zone < _WITHIN)], 1)
    zone = _zones(nside, pixel, direction, radius)
    found.append(pixel[zone >= _CENTRE])
    if inclusive:
        found.append(_touched(nside, pixel[zone == _NEAR], direction, radius, oversampling))
    inside = torch.cat(found)
    if ordering == "ring":
        inside = xyf_to_ring(nside, *nest_to_xyf(nside, inside))
    return inside.sort().values


def _touched(
    nside: int, pixel: Tensor, direction: Tensor, radius: float, oversampling: int
) -> Tensor:
    """Those of the pixels just outside of the disc that it may reach, by their descendants."""
    touched, active = [], pixel
    for level in range(1, oversampling.bit_length()):
        fine = _below(active, 1)
        zone = _zones(nside << level, fine, direction, radius)
        reached = torch.unique(fine[zone >= _CENTRE] >> 2 * level)
        touched.append(reached)
        near = fine[zone == _NEAR]
        active = near[~torch.isin(near >> 2 * level, reached)]
    shift = 2 * (oversampling.bit_length() - 1)
    return torch.cat([*touched, torch.unique(active >> shift)])


def _below(pixel: Tensor, levels: int) -> Tensor:
    """All descendants so many levels down, in one row."""
    if not len(pixel):
        return pixel
    inside = torch.arange(4**levels, device=pixel.device)
    return ((pixel << 2 * levels)[:, None] + inside).reshape(-1)


def _zones(nside: int, pixel: Tensor, direction: Tensor, radius: float) -> Tensor:
    """Where a pixel's centre lies, with the pixel's extent ``e``: beyond ``radius + e``, beyond
    ``radius``, in the disc, or so deep that the whole pixel is.
    """
    centres, extent = centre_of(nside, *nest_to_xyf(nside, pixel)), extent_of(nside)
    # Twice the arc tangent of |a - b| / |a + b|: as exact for small angles as for those near pi.
    apart, together = (centres - direction).norm(dim=-1), (centres + direction).norm(dim=-1)
    angle = 2 * torch.atan2(apart, together)
    if radius >= math.pi:
        return torch.full_like(pixel, _WITHIN)
    near = (angle < radius + extent) | (radius + extent > math.pi)
    inside, within = angle <= radius, angle < radius - extent
    return near.long() + (near & inside).long() + (near & inside & within).long()
