"""Fixed point with a power-of-two step: the numbers that a chip multiplies."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["FixedPoint"]

_MOST_BITS, _MOST_FRACTION = 64, 1000


@dataclass(frozen=True)
class FixedPoint:
    """The numbers ``n 2^-fraction``, ``n`` an integer of ``bits`` bits.

    ``n`` runs from ``-2^(bits-1)`` to ``2^(bits-1) - 1`` where ``signed``, else from 0 to
    ``2^bits - 1``. ``fraction`` may be negative, or larger than ``bits``. Raises ``ValueError``
    for no bit or more than the 64 of torch's integers, and for a step that float64 does not have.
    """

    bits: int
    fraction: int
    signed: bool

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= _MOST_BITS:
            raise ValueError(f"bits is {self.bits}; expected 1 to {_MOST_BITS}")
        if abs(self.fraction) > _MOST_FRACTION:
            raise ValueError(
                f"fraction is {self.fraction}; expected -{_MOST_FRACTION} to {_MOST_FRACTION}"
            )

    @property
    def step(self) -> float:
        """The distance of neighbours, ``2^-fraction``."""
        return float(2.0**-self.fraction)

    @property
    def lowest(self) -> int:
        """The smallest integer."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def highest(self) -> int:
        """The largest integer."""
        return (1 << (self.bits - self.signed)) - 1

    @property
    def integer_bits(self) -> int:
        """Bits above the binary point, the sign's among them: ``bits - fraction``."""
        return self.bits - self.fraction

    def quantise(self, values: Tensor) -> Tensor:
        """``clip(round(x 2^fraction), lowest, highest)``, ties to even: int64 of the same shape.

        In float64, where the product is exact.
        """
        scaled = values.double() * 2.0**self.fraction
        return torch.round(scaled).clamp(self.lowest, self.highest).long()

    def __str__(self) -> str:
        """The type as hls4ml spells it: ``fixed<bits,integer bits>`` or ``ufixed<...>``."""
        return f"{'' if self.signed else 'u'}fixed<{self.bits},{self.integer_bits}>"

    @classmethod
    def covering(cls, low: int, high: int, fraction: int) -> FixedPoint:
        """The narrowest signed format that holds every integer from ``low`` to ``high``."""
        if low > high:
            raise ValueError(f"low is {low} and high {high}; expected low <= high")
        bits = 1 + max((-low - 1).bit_length() if low < 0 else 0, high.bit_length() * (high > 0))
        return cls(bits, fraction, signed=True)
