"""Quadrature on SO(3): sums over rotations that are Haar integrals."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from geocore.so3.quadrature import colatitudes

__all__ = ["haar_quadrature"]


def haar_quadrature(
    bandlimit: int, grid: str = "gauss-legendre"
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    r"""``sum_p w_p f(R_p) = int_SO(3) f(R) dR`` for functions of degree below ``2 bandlimit``.

    .. math:: dR = \frac{1}{8\pi^2}\, d\alpha\, \sin\beta\, d\beta\, d\gamma

    of total mass 1. So products of two functions of degree below ``bandlimit`` are integrated
    exactly: ``int D^l_mn conj(D^l'_m'n') dR = delta / (2l + 1)``. The points are those of
    ``SO3Transform``: on ``gauss-legendre`` ``4 bandlimit^3``, on ``driscoll-healy`` twice as many.

    Returns alpha, beta, gamma (radians) and weights, each ``(points,)`` in float64. Raises
    ``ValueError`` for a bandlimit below 1 and another grid.
    """
    beta, weights = colatitudes(grid, bandlimit)
    circle = math.pi / bandlimit * torch.arange(2 * bandlimit, dtype=torch.float64)
    size = len(circle) ** 2
    b, a, c = (part.flatten() for part in torch.meshgrid(beta, circle, circle, indexing="ij"))
    return a, b, c, (weights / (2 * size)).repeat_interleave(size)
