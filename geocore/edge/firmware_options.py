"""How a network is laid out in hls4ml's firmware."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["FirmwareOptions"]


@dataclass(frozen=True)
class FirmwareOptions:
    """hls4ml's own words, the clock period in nanoseconds, and reuse factors of single layers.

    ``reuse_factor`` is how often a multiplier is used for one output; ``reuse_factors`` are other
    ones of nodes by their names.
    """

    io_type: Literal["io_parallel", "io_stream"]
    strategy: Literal["Latency", "Resource"]
    reuse_factor: int
    backend: Literal["Vitis", "Vivado"]
    clock_period: float
    part: str
    reuse_factors: Mapping[str, int] = field(default_factory=dict)

    def reuse_of(self, name: str) -> int:
        """The reuse factor that is asked for of that node."""
        return self.reuse_factors.get(name, self.reuse_factor)
