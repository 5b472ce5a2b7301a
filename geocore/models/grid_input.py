"""What networks on the grid of Driscoll and Healy ask of their input."""

from __future__ import annotations

from torch import Tensor

__all__ = ["check_samples"]


def check_samples(x: Tensor, bandlimit: int, channels: int) -> None:
    """Raise ``ValueError`` unless ``x`` is ``(batch, 2 bandlimit, 2 bandlimit, channels)``."""
    edge = 2 * bandlimit
    if x.ndim != 4 or tuple(x.shape[1:]) != (edge, edge, channels):
        raise ValueError(
            f"x has shape {tuple(x.shape)}; expected (batch, {edge}, {edge}, {channels})"
        )
