"""A linear or logarithmic axis with round ticks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from geocore.report.words import figures

__all__ = ["Scale", "Tick"]

_TICKS = 5
_DECADES = 1.2  # that positive values must span before they are drawn by decades
_LEAST = 1e-300  # a span below which values count as one


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where, and what stands there."""

    at: float
    label: str


@dataclass(frozen=True)
class Scale:
    """Values from ``low`` to ``high`` onto ``start`` to ``end``, by decades if ``log``."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    @classmethod
    def exact(cls, values: Sequence[float], start: float, end: float) -> Scale:
        """From the least to the greatest value; one value stands in the middle."""
        low, high = min(values), max(values)
        if high - low < _LEAST:
            room = abs(low) / 10 or 1.0
            low, high = low - room, high + room
        return cls(low, high, start, end)

    @classmethod
    def roomy(cls, values: Sequence[float], start: float, end: float) -> Scale:
        """With room at both ends; by decades where positive values span more than one."""
        low, high = min(values), max(values)
        if low > 0 and math.log10(high) - math.log10(low) > _DECADES:
            return cls(low / 1.15, high * 1.15, start, end, log=True)
        linear = cls.exact(values, start, end)
        room = (linear.high - linear.low) * 0.04
        return cls(linear.low - room, linear.high + room, start, end)

    def at(self, value: float) -> float:
        """Where a value stands, to a tenth."""
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return round(self.start + (self.end - self.start) * (value - low) / (high - low), 1)

    def ticks(self) -> tuple[Tick, ...]:
        """About five round values."""
        values = list(self._decades() if self.log else self._even())
        labels = figures(values)
        return tuple(Tick(self.at(v), label) for v, label in zip(values, labels, strict=True))

    def _decades(self) -> Iterator[float]:
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        every = max(1, (last - first) // _TICKS)
        parts = (1, 2, 5) if last - first <= 2 else (1,)
        for exponent in range(first, last + 1, every):
            for part in parts:
                value = float(f"{part}e{exponent}")
                if self.low <= value <= self.high:
                    yield value

    def _even(self) -> Iterator[float]:
        rough = (self.high - self.low) / _TICKS
        power = 10.0 ** math.floor(math.log10(rough))
        step = power * next(part for part in (1, 2, 2.5, 5, 10, 20) if part * power >= rough)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        for place in range(first, last + 1):
            yield float(f"{place * step:.12g}")
