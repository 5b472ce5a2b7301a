"""Ridges of a field of exponents: where it is largest across the stretching direction."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from geocore.explain.section import ExponentField

__all__ = ["Ridges", "find_ridges"]


@dataclass(frozen=True)
class Ridges:
    """Points of ridges, in the section's coordinates.

    ``mask (size, size)`` bool: the points of the grid at which a ridge passes. Of each, row by row,
    ``position (k, 2)``: its crest, off the grid; ``direction (k, 2)``: across it, of norm 1;
    ``height (k,)``: L lambda at the crest; ``sharpness (k,)``: minus the second derivative of L
    lambda across it.
    """

    mask: Tensor
    position: Tensor
    direction: Tensor
    height: Tensor
    sharpness: Tensor


def find_ridges(field: ExponentField, *, floor: float = -math.inf, drop: float = 1e-5) -> Ridges:
    """Where ``t -> L lambda(x + t v(x))`` has a maximum, ``v`` the stretching direction.

    Non-maximum suppression: a point of the grid stays if L lambda there is at least that one
    spacing away on both sides along ``v`` (bilinear between grid points), and their mean is lower
    by more than ``drop``, by itself more than float32's rounding. The parabola through the three
    gives the crest to a fraction of a spacing. A point whose L lambda is below ``floor`` or whose
    neighbours leave the section does not count. Of two equal ones side by side (a crest half-way
    between grid points) both stay.

    The field of one network. Raises ``ValueError`` for a field of several members. The ridges of a
    flow are found across its strongest stretching too: Shadden, Lekien and Marsden, Physica D 212
    (2005).
    """
    if field.exponent.ndim != 2:
        found = tuple(field.exponent.shape)
        raise ValueError(f"exponent has shape {found}; expected (size, size), of one member")
    total = field.total.double()
    length = field.direction.double().norm(dim=-1, keepdim=True)
    known = length[..., 0] > 0  # else the direction leaves the section at a right angle
    across = field.direction.double() / length.clamp(min=torch.finfo(torch.float64).tiny)
    ahead, behind = (_beside(total, side * across) for side in (1, -1))
    bend = 2 * total - ahead - behind
    mask = (total >= ahead) & (total >= behind) & (bend > 2 * drop) & (total >= floor) & known
    mask &= ahead.isfinite() & behind.isfinite()
    top, one, two, bent = (values[mask] for values in (total, ahead, behind, bend))
    offset = (one - two) / (2 * bent)  # in spacings along the direction
    spacing = field.section.spacing
    place = field.section.coordinates().double()[mask]
    return Ridges(
        mask=mask,
        position=place + spacing * offset[:, None] * across[mask],
        direction=across[mask],
        height=top + (one - two).square() / (8 * bent),
        sharpness=bent / spacing**2,
    )


def _beside(values: Tensor, step: Tensor) -> Tensor:
    """``values (size, size)`` one spacing away along ``step (size, size, 2)``; NaN outside."""
    size = len(values)
    index = torch.arange(size).to(step)
    place = torch.stack(torch.meshgrid(index, index, indexing="ij"), dim=-1) + step
    inside = ((place >= 0) & (place <= size - 1)).all(dim=-1)
    grid = 2 * place.flip(-1) / (size - 1) - 1  # columns first
    found = F.grid_sample(values[None, None], grid[None], align_corners=True, mode="bilinear")
    return torch.where(inside, found[0, 0], torch.nan)
