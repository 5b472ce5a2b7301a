"""Interleaved bits: the nested order is a Morton curve within each base face.

All constants are 64-bit patterns; how many halvings are needed follows from the number of bits, so
a coarse grid pays for its own resolution alone.
"""

from __future__ import annotations

from torch import Tensor

__all__ = ["EVEN", "compress", "spread"]

EVEN = 0x5555555555555555  # bits 0, 2, 4, ...

# After the step of `shift`, runs of `shift` bits stand 2 * `shift` apart.
_RUNS = {
    1: EVEN,
    2: 0x3333333333333333,
    4: 0x0F0F0F0F0F0F0F0F,
    8: 0x00FF00FF00FF00FF,
    16: 0x0000FFFF0000FFFF,
    32: 0x00000000FFFFFFFF,
}


def spread(value: Tensor, bits: int) -> Tensor:
    """Bit ``i`` -> bit ``2 i``, for values of so many bits, at most 31."""
    for shift in (16, 8, 4, 2, 1):
        if shift < bits:
            value = (value | (value << shift)) & _RUNS[shift]
    return value


def compress(value: Tensor, bits: int) -> Tensor:
    """Bit ``2 i`` -> bit ``i`` for ``i < bits <= 31``, the inverse of ``spread``; others go."""
    value = value & (EVEN & ((1 << 2 * bits) - 1))
    for shift in (1, 2, 4, 8, 16):
        if shift < bits:
            value = (value | (value >> shift)) & _RUNS[2 * shift]
    return value
