"""Signals on the sphere as their harmonic coefficients, whichever way they come."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from geocore.so3.healpix_transform import HealpixTransform
from geocore.so3.s2_transform import S2Transform

__all__ = ["Ordering", "harmonic_coefficients", "mean_square"]

Ordering = Literal["nested", "ring"]


def harmonic_coefficients(
    x: Tensor, bandlimit: int, *, ordering: Ordering = "nested", iterations: int = 3
) -> Tensor:
    """``f_lm`` of real signals, ``l < bandlimit``: complex ``(n, channels, bandlimit, bandlimit)``.

    Index ``[l, m]`` with ``m >= 0``, as of ``S2Transform``. ``x`` is one of

    - coefficients, complex ``(n, channels, b, b)`` with ``b >= bandlimit``, whose higher degrees
      are cut off;
    - maps on a Driscoll-Healy grid, real ``(n, channels, 2b, 2b)``: colatitude, longitude;
    - HEALPix maps, real ``(n, channels, 12 nside^2)`` with ``bandlimit <= 3 nside``, in
      ``ordering``; ``iterations`` as of ``HealpixTransform``.

    Raises ``ValueError`` for other shapes, ``TypeError`` for other numbers.
    """
    shape = tuple(x.shape)
    if x.dtype not in (torch.float32, torch.float64, torch.complex64, torch.complex128):
        raise TypeError(f"inputs are {x.dtype}; expected float32, float64, or complex ones of them")
    if 0 in shape or x.ndim not in (3, 4) or (x.ndim == 3 and x.is_complex()):
        raise ValueError(
            f"inputs have shape {shape}; expected coefficients (n, channels, b, b), complex, or "
            "maps (n, channels, 2 b, 2 b) or (n, channels, 12 nside^2)"
        )
    if x.is_complex():
        return _cut(x, bandlimit)
    transform: S2Transform | HealpixTransform
    if x.ndim == 4:
        size = shape[-1]
        if shape[-2] != size or size % 2 or size < 2 * bandlimit:
            raise ValueError(
                f"maps have shape {shape}; expected (n, channels, 2 b, 2 b) with b of at least the "
                f"bandlimit, {bandlimit}"
            )
        transform = S2Transform(bandlimit, sampling=size // 2, dtype=x.dtype)
    else:
        nside = round((shape[-1] / 12) ** 0.5)
        if 12 * nside**2 != shape[-1]:
            raise ValueError(
                f"maps have {shape[-1]} pixels; expected 12 nside^2, those of a whole HEALPix grid"
            )
        transform = HealpixTransform(
            nside, bandlimit, ordering=ordering, iterations=iterations, dtype=x.dtype
        )
    found: Tensor = transform.to(x.device)(x)
    return found


def mean_square(coefficients: Tensor) -> Tensor:
    """``1/(4 pi C) sum_c int f_c(x)^2 dx`` of ``(n, channels, l, m)``: ``(n,)``.

    By Parseval: orders ``m > 0`` count twice, for ``-m``.
    """
    squares = torch.view_as_real(coefficients).square().sum(dim=-1)
    twice = 2 * squares.sum(dim=(1, 2, 3)) - squares[..., 0].sum(dim=(1, 2))
    return twice / (4 * torch.pi * coefficients.shape[1])


def _cut(x: Tensor, bandlimit: int) -> Tensor:
    """Without what has no meaning: degrees above, orders beyond their degree, ``Im f_l0``."""
    if x.shape[-1] != x.shape[-2] or x.shape[-1] < bandlimit:
        raise ValueError(
            f"coefficients have shape {tuple(x.shape)}; expected (n, channels, b, b) with b of at "
            f"least the bandlimit, {bandlimit}"
        )
    kept = x[..., :bandlimit, :bandlimit].tril()
    return torch.cat([kept[..., :1].real.to(x.dtype), kept[..., 1:]], dim=-1)
