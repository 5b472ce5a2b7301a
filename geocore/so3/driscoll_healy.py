"""The equiangular grid of Driscoll and Healy on the sphere."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from geocore.so3.quadrature import check_bandlimit, driscoll_healy_weights

__all__ = ["driscoll_healy_directions", "driscoll_healy_nearest"]


def driscoll_healy_directions(bandlimit: int) -> Tensor:
    """Unit vectors ``(2 bandlimit, 2 bandlimit, 3)`` of the grid, float64: rows are colatitudes.

    ``beta_j = pi (2 j + 1) / (4 bandlimit)`` and ``alpha_k = 2 pi k / (2 bandlimit)``, the point
    ``(sin beta cos alpha, sin beta sin alpha, cos beta)``; no point is a pole. Functions of
    degrees below ``bandlimit`` are known from it exactly (Driscoll & Healy, 1994; the half step
    from the pole as Kostelec & Rockmore, 2008). Raises ``ValueError`` below 1.
    """
    beta = driscoll_healy_weights(bandlimit)[0][:, None]
    alpha = math.pi / bandlimit * torch.arange(2 * bandlimit, dtype=torch.float64)
    height = beta.cos().expand(-1, 2 * bandlimit)
    return torch.stack([beta.sin() * alpha.cos(), beta.sin() * alpha.sin(), height], dim=-1)


def driscoll_healy_nearest(bandlimit: int, directions: Tensor) -> Tensor:
    """The grid point that each direction ``(..., 3)`` is nearest to in either angle, ``(...)``.

    Row by row as a flattened image has them, int64: whose cell of ``pi / (2 bandlimit)`` in
    colatitude and ``pi / bandlimit`` in longitude the direction lies in.
    """
    check_bandlimit(bandlimit)
    x, y, z = directions.double().unbind(-1)
    size = 2 * bandlimit
    row = (torch.atan2(torch.hypot(x, y), z) * (size / math.pi)).floor().clamp(0, size - 1)
    column = (torch.atan2(y, x) * (size / (2 * math.pi))).round().remainder(size)
    return (row * size + column).long()
