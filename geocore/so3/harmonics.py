"""Spherical harmonics of all degrees at points of the sphere."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from geocore.so3.checks import is_whole
from geocore.so3.wigner import Basis

__all__ = ["spherical_harmonics"]


def spherical_harmonics(lmax: int, vectors: Tensor, basis: Basis = "real") -> Tensor:
    r"""``Y_lm(v)`` for ``l <= lmax``: orthonormal, ``int Y_lm conj(Y_l'm') dv = delta``.

    .. math::
        Y_l^m(v) = Q_l^m(z)\, (x + iy)^m, \qquad Y_l^{-m} = (-1)^m \bar Y_l^m \qquad (m \ge 0)

    with the Condon-Shortley phase. ``Q_l^m``, a polynomial, is the normalised Legendre function
    without its ``sin^m``, by the stable recursion in ``l``; so the whole is a polynomial in
    ``x, y, z``, differentiable at the poles too. A rotation acts by ``Y_l(R v) = conj(D^l(R))
    Y_l(v)``, in the ``real`` basis (``real_basis``) by ``Y_l(R v) = D^l(R) Y_l(v)``.

    ``vectors`` ``(..., 3)`` are normalised first; the zero vector has no direction and gives NaN.
    Returns ``(..., (lmax + 1)^2)``, degree after degree, orders from -l to l: ``Y_lm`` has index
    ``l^2 + l + m``.

    Raises ``ValueError`` for a negative degree, another shape or another basis.
    """
    if not is_whole(lmax) or lmax < 0:
        raise ValueError(f"lmax is {lmax!r}; expected an integer of at least 0")
    if basis not in ("complex", "real"):
        raise ValueError(f"basis is {basis!r}; expected 'complex' or 'real'")
    if vectors.ndim == 0 or vectors.shape[-1] != 3:
        raise ValueError(f"vectors has shape {tuple(vectors.shape)}; expected (..., 3)")
    if not vectors.is_floating_point():
        raise TypeError(f"vectors is {vectors.dtype}; expected floats")
    x, y, z = (vectors / vectors.norm(dim=-1, keepdim=True)).unbind(-1)
    powers = [(torch.ones_like(x), torch.zeros_like(x))]  # of x + iy: real and imaginary parts
    for _ in range(lmax):
        real, imaginary = powers[-1]
        powers.append((real * x - imaginary * y, real * y + imaginary * x))
    columns: list[Tensor | None] = [None] * (lmax + 1) ** 2
    for m in range(lmax + 1):
        real, imaginary = powers[m]
        sign = (-1) ** m
        for l, legendre in enumerate(_legendre_over_sine(lmax, m, z), start=m):
            centre = l * l + l
            if basis == "complex":
                value = torch.complex(legendre * real, legendre * imaginary)
                columns[centre + m] = value
                if m:
                    columns[centre - m] = sign * value.conj()
            elif m == 0:
                columns[centre] = legendre
            else:
                scaled = math.sqrt(2) * sign * legendre
                columns[centre + m], columns[centre - m] = scaled * real, scaled * imaginary
    return torch.stack([column for column in columns if column is not None], dim=-1)


def _legendre_over_sine(lmax: int, m: int, z: Tensor) -> list[Tensor]:
    """``Q_l^m(z)`` for ``l = m .. lmax``, normalised over the whole sphere."""
    first = math.sqrt(1 / (4 * math.pi))
    for k in range(1, m + 1):
        first *= -math.sqrt((2 * k + 1) / (2 * k))
    values = [torch.full_like(z, first)]
    if lmax > m:
        values.append(math.sqrt(2 * m + 3) * z * values[0])
    for l in range(m + 2, lmax + 1):
        rise = math.sqrt((4 * l * l - 1) / (l * l - m * m))
        fall = math.sqrt(((l - 1) ** 2 - m * m) / (4 * (l - 1) ** 2 - 1))
        values.append(rise * (z * values[-1] - fall * values[-2]))
    return values
