"""Whether runs saw the same thing on the sphere: only then is a difference the networks' own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from geocore.report.sphere_file import Spheres, SphereSample

__all__ = ["coarsened", "scenes"]

Array = npt.NDArray[Any]
Seen = tuple[Spheres, SphereSample | None]

_SAME = 0.02  # of the spread of the values: how far apart equal pixels may be, r.m.s.
_ALIKE = 0.9  # correlation from which on maps of two resolutions are of one image


def scenes(seen: Sequence[Seen]) -> list[int | None]:
    """Of each run's sample the number of the scene on it: equal numbers are one input.

    Two inputs are one where their values agree to 2 % of their spread, r.m.s. over the pixels that
    both know. Of two resolutions the finer is brought to the coarser one, where both must
    correlate by 0.9: each was interpolated at its own points. A run without the sample has None.
    """
    found: list[int | None] = []
    first: list[tuple[Spheres, SphereSample]] = []
    for spheres, one in seen:
        if one is None:
            found.append(None)
            continue
        same = (n for n, other in enumerate(first) if _are_one(spheres, one, *other))
        number = next(same, len(first))
        if number == len(first):
            first.append((spheres, one))
        found.append(number)
    return found


def coarsened(values: Array, nside: int, target: int) -> Array:
    """Nested ``(npix, channels)`` at ``nside`` to a coarser ``target``.

    ``f(P) = mean of f(p) over the (nside / target)^2 pixels p in P``, which follow one another in
    the nested order; those that are not finite are left out, and NaN is where none is left.
    """
    children = (nside // target) ** 2
    grouped = values.reshape(-1, children, values.shape[1])
    known = np.isfinite(grouped)
    total = np.where(known, grouped, 0.0).sum(axis=1, dtype=np.float64)
    count = known.sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _are_one(spheres: Spheres, one: SphereSample, others: Spheres, other: SphereSample) -> bool:
    if one.input.shape[1] != other.input.shape[1]:
        return False
    if (spheres.task, others.task) == ("classification",) * 2 and one.label[0] != other.label[0]:
        return False
    nside = min(spheres.nside, others.nside)
    maps = [_whole(s, coarsened(o.input, s.nside, nside), nside)
            for s, o in ((spheres, one), (others, other))]  # fmt: skip
    known = np.isfinite(maps[0]) & np.isfinite(maps[1])
    if not known.any():
        return False
    first, second = (values[known] for values in maps)
    spread = max(float(first.std()), float(second.std()))
    if spheres.nside == others.nside or spread == 0:
        return float(np.sqrt(np.mean((first - second) ** 2))) <= max(_SAME * spread, 1e-6)
    if not (first.std() > 0 and second.std() > 0):
        return False
    return float(np.corrcoef(first, second)[0, 1]) >= _ALIKE


def _whole(spheres: Spheres, values: Array, nside: int) -> Array:
    """On all twelve faces, NaN where the run has none."""
    found = np.full((12, nside**2, values.shape[1]), np.nan)
    found[list(spheres.faces)] = values.reshape(len(spheres.faces), nside**2, -1)
    return found
