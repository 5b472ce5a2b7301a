"""Quadrature in the colatitude: what turns sums over a grid into integrals over the sphere."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from geocore.so3.checks import is_whole

__all__ = [
    "check_bandlimit",
    "colatitudes",
    "driscoll_healy_weights",
    "gauss_legendre",
    "grid_sizes",
]

GRIDS = ("driscoll-healy", "gauss-legendre")


def driscoll_healy_weights(bandlimit: int) -> tuple[Tensor, Tensor]:
    r"""``sum_j w_j g(beta_j) = int_0^pi g sin(beta) dbeta`` for polynomials of degree < 2 B in cos.

    .. math:: w_j = \frac{2}{B} \sin\beta_j \sum_{k<B} \frac{\sin((2k+1)\beta_j)}{2k+1}

    at ``beta_j = pi (2j + 1) / (4B)``, ``j < 2B``. Returns colatitudes and weights, ``(2B,)`` in
    float64. Source: Driscoll and Healy, Computing Fourier transforms and convolutions on the
    2-sphere, 1994.
    """
    check_bandlimit(bandlimit)
    places = torch.arange(2 * bandlimit, dtype=torch.float64)
    beta = math.pi * (2 * places + 1) / (4 * bandlimit)
    odd = 2 * torch.arange(bandlimit, dtype=torch.float64) + 1
    series = (torch.sin(beta[:, None] * odd) / odd).sum(dim=1)
    return beta, 2 / bandlimit * beta.sin() * series


def gauss_legendre(bandlimit: int) -> tuple[Tensor, Tensor]:
    """The same integral from ``B`` nodes, half as many: exact for degree < 2 B as well.

    The nodes are the arccosines of the roots of the Legendre polynomial ``P_B``, from north to
    south. Returns colatitudes and weights, ``(B,)`` in float64.
    """
    check_bandlimit(bandlimit)
    cosines, weights = np.polynomial.legendre.leggauss(bandlimit)
    beta = torch.from_numpy(np.arccos(cosines[::-1].copy()))
    return beta, torch.from_numpy(weights[::-1].copy())


def colatitudes(grid: str, bandlimit: int) -> tuple[Tensor, Tensor]:
    """Colatitudes and weights of ``grid``: ``driscoll-healy`` or ``gauss-legendre``."""
    if grid not in GRIDS:
        raise ValueError(f"grid is {grid!r}; expected one of {', '.join(GRIDS)}")
    if grid == "driscoll-healy":
        return driscoll_healy_weights(bandlimit)
    return gauss_legendre(bandlimit)


def grid_sizes(bandlimit: int, sampling: int | None) -> int:
    """The bandlimit of the grid: ``sampling``, by default that of the coefficients.

    Raises ``ValueError`` where the grid would be too coarse for the coefficients.
    """
    check_bandlimit(bandlimit)
    if sampling is None:
        return bandlimit
    if not is_whole(sampling) or sampling < bandlimit:
        raise ValueError(
            f"sampling is {sampling!r}; expected an integer of at least bandlimit {bandlimit}"
        )
    return sampling


def check_bandlimit(bandlimit: int) -> None:
    """Raise ``ValueError`` for what is no positive integer."""
    if not is_whole(bandlimit) or bandlimit < 1:
        raise ValueError(f"bandlimit is {bandlimit!r}; expected an integer of at least 1")
