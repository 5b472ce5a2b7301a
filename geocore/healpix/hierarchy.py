"""Coarser and finer grids: parents, children, and maps carried between resolutions.

A pixel of ``nside`` is the union of four pixels of ``2 nside``. In nested order those are four
runs of one: pixel ``p`` has the children ``4 p .. 4 p + 3``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from geocore.healpix.arithmetic import nest_to_xyf, ring_to_xyf, xyf_to_nest, xyf_to_ring
from geocore.healpix.checks import (
    ALL_FACES,
    MAX_NSIDE,
    Ordering,
    check_faces,
    check_nside,
    check_ordering,
    check_pixel,
)
from geocore.healpix.grid import nside_of, ring_order

__all__ = ["children", "parents", "ud_grade"]


def parents(nside: int, pixel: Tensor, levels: int = 1, ordering: Ordering = "nested") -> Tensor:
    """The pixel of ``nside / 2**levels`` that each pixel of ``nside`` lies in, ``(...)`` int64.

    Raises ``ValueError`` if the grid has no so much coarser one, or as ``nest2ring`` does.
    """
    check_ordering(ordering)
    check_pixel(nside, pixel)
    coarse = nside >> levels if levels >= 0 else 0
    if coarse < 1:
        raise ValueError(f"levels is {levels}; expected 0 to {nside.bit_length() - 1}")
    if ordering == "nested":
        return pixel >> 2 * levels
    nested = xyf_to_nest(nside, *ring_to_xyf(nside, pixel)) >> 2 * levels
    return xyf_to_ring(coarse, *nest_to_xyf(coarse, nested))


def children(nside: int, pixel: Tensor, levels: int = 1, ordering: Ordering = "nested") -> Tensor:
    """The pixels of ``nside * 2**levels`` in each pixel of ``nside``: ``(..., 4**levels)`` int64.

    Always in the order of their nested numbers, whatever ``ordering`` the numbers are in.
    ``parents`` of them is the pixel. Raises ``ValueError`` if the finer grid is beyond 2^20.
    """
    check_ordering(ordering)
    check_pixel(nside, pixel)
    fine = nside << levels if levels >= 0 else MAX_NSIDE + 1
    if fine > MAX_NSIDE:
        limit = (MAX_NSIDE // nside).bit_length() - 1
        raise ValueError(f"levels is {levels}; expected 0 to {limit}")
    if ordering == "ring":
        pixel = xyf_to_nest(nside, *ring_to_xyf(nside, pixel))
    inside = torch.arange(4**levels, device=pixel.device)
    below = (pixel << 2 * levels)[..., None] + inside
    return below if ordering == "nested" else xyf_to_ring(fine, *nest_to_xyf(fine, below))


def ud_grade(
    x: Tensor,
    nside: int,
    faces: Sequence[int] = ALL_FACES,
    ordering: Ordering = "nested",
    valid: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Maps ``(..., npix, channels)`` carried to the resolution ``nside``, and which pixels hold.

    Downwards: ``y[p] = mean of x over the valid pixels in p``, which keeps the integral of a map
    that is valid everywhere; a pixel without any is 0 and not valid. Upwards: every pixel takes
    its parent's value, 0 if that is not valid. Up and down again gives the map back.

    ``valid`` is bool, ``(npix,)`` for all maps or ``(..., npix)``; invalid pixels may hold NaN.
    Returns the maps in their floating-point type and the validity in ``valid``'s shape but for the
    pixels. Raises ``ValueError`` for a shape that is no map's and ``TypeError`` for integers.
    """
    check_nside(nside)
    check_ordering(ordering)
    faces = check_faces(faces)
    if x.ndim < 2:
        raise ValueError(f"x has shape {tuple(x.shape)}; expected (..., npix, channels)")
    if not x.is_floating_point():
        raise TypeError(f"x is {x.dtype}; expected a floating-point type")
    npix = x.shape[-2]
    own = nside_of(npix, faces)
    if valid is None:
        valid = x.new_ones(npix, dtype=torch.bool)
    if valid.dtype != torch.bool or valid.shape not in (x.shape[:-1], (npix,)):
        found = f"{valid.dtype} of shape {tuple(valid.shape)}"
        raise ValueError(f"valid is {found}; expected bool, ({npix},) or {tuple(x.shape[:-1])}")

    x = torch.where(valid[..., None], x, 0.0)
    if ordering == "ring":
        back = ring_order(own, faces).argsort().to(x.device)
        x, valid = x[..., back, :], valid[..., back]
    if nside > own:
        times = (nside // own) ** 2
        y, known = x.repeat_interleave(times, dim=-2), valid.repeat_interleave(times, dim=-1)
    else:
        y, known = _means(x, valid, (own // nside) ** 2)
    if ordering == "ring":
        order = ring_order(nside, faces).to(x.device)
        y, known = y[..., order, :], known[..., order]
    return y, known


def _means(x: Tensor, valid: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Means over the valid ones of each run of ``size`` pixels; the others hold 0."""
    total = x.unflatten(-2, (-1, size)).sum(dim=-2)
    count = valid.unflatten(-1, (-1, size)).sum(dim=-1)
    return total / count.clamp(min=1)[..., None].to(x.dtype), count > 0
