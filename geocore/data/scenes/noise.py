"""Seeded noise that is a function of the place: the same wherever and whenever it is asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["lattice", "value_noise", "value_noise_3d"]

Array = npt.NDArray[Any]

_X, _Y, _MIX, _STIR = (np.uint32(n) for n in (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F))


def lattice(i: Array, j: Array, seed: Array | int) -> Array:
    """A number in ``[0, 1)``, float32, for each lattice point ``(i, j)``: an integer hash."""
    seeds = np.asarray(seed).astype(np.uint32)
    mixed = i.astype(np.int32).view(np.uint32) * _X
    mixed = mixed ^ (j.astype(np.int32).view(np.uint32) * _Y + seeds * _MIX)
    mixed ^= mixed >> np.uint32(15)
    mixed *= _STIR
    mixed ^= mixed >> np.uint32(13)
    mixed *= _MIX
    return (mixed >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def value_noise(u: Array, v: Array, seed: Array | int) -> Array:
    """Smooth noise in ``[0, 1)``: lattice values of spacing 1, interpolated (Perlin's ease)."""
    low_u, low_v = np.floor(u), np.floor(v)
    fu, fv = u - low_u, v - low_v
    fu, fv = fu * fu * (3 - 2 * fu), fv * fv * (3 - 2 * fv)
    i, j = low_u.astype(np.int32), low_v.astype(np.int32)
    a, b = lattice(i, j, seed), lattice(i + 1, j, seed)
    c, d = lattice(i, j + 1, seed), lattice(i + 1, j + 1, seed)
    lower, upper = a + fu * (b - a), c + fu * (d - c)
    return np.asarray(lower + fv * (upper - lower))


def value_noise_3d(u: Array, v: Array, w: Array, seed: Array | int) -> Array:
    """The same in space: two slices of ``value_noise``, interpolated."""
    low = np.floor(w)
    fw = w - low
    fw = fw * fw * (3 - 2 * fw)
    slice_ = np.asarray(seed).astype(np.int64) * 131 + low.astype(np.int64)
    lower, upper = value_noise(u, v, slice_), value_noise(u, v, slice_ + 1)
    return np.asarray(lower + fw * (upper - lower))
