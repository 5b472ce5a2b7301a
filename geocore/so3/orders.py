"""The symmetry of real signals: coefficients of negative orders follow from the others."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["all_orders", "alternating", "of_conjugate"]


def alternating(orders: Tensor) -> Tensor:
    """``(-1)^m`` of integers ``m``, negative ones too."""
    return 1 - 2 * (orders % 2)


def all_orders(half: Tensor, axes: int = 1) -> Tensor:
    """Coefficients of a real signal with ``m >= 0`` -> those of all orders.

    ``f_-m = (-1)^m conj f_m`` with one axis of orders, ``(..., b)`` -> ``(..., 2b - 1)``; with two,
    ``f_-m,-n = (-1)^(m-n) conj f_mn``, ``(..., b, 2b - 1)`` -> ``(..., 2b - 1, 2b - 1)``.
    """
    bandlimit = half.shape[-axes]
    positive = half.narrow(-axes, 1, bandlimit - 1)
    reversed_axes = (-1,) if axes == 1 else (-1, -2)
    signs = _signs(bandlimit, half, axes).narrow(-axes, 0, bandlimit - 1)
    return torch.cat([positive.flip(reversed_axes).conj() * signs, half], dim=-axes)


def of_conjugate(full: Tensor, axes: int = 1) -> Tensor:
    """The coefficients of a signal's complex conjugate, from its own of all orders.

    A signal is real where the two are equal.
    """
    reversed_axes = (-1,) if axes == 1 else (-1, -2)
    bandlimit = (full.shape[-1] + 1) // 2
    return full.flip(reversed_axes).conj() * _signs(bandlimit, full, axes)


def _signs(bandlimit: int, like: Tensor, axes: int) -> Tensor:
    """``(-1)^m``, or ``(-1)^(m - n)``, for orders ``1 - b .. b - 1``."""
    orders = torch.arange(1 - bandlimit, bandlimit, device=like.device)
    orders = orders if axes == 1 else orders[:, None] - orders
    return alternating(orders).to(like.real.dtype)
