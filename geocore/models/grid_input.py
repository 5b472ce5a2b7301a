"""What networks on the grid of Driscoll and Healy ask of their input."""

from __future__ import annotations

from torch import Tensor

from geocore.data.tabletype import TableType
from geocore.errors import UserError

__all__ = ["check_samples", "grid_of"]


def check_samples(x: Tensor, bandlimit: int, channels: int) -> None:
    """Raise ``ValueError`` unless ``x`` is ``(batch, 2 bandlimit, 2 bandlimit, channels)``."""
    edge = 2 * bandlimit
    if x.ndim != 4 or tuple(x.shape[1:]) != (edge, edge, channels):
        raise ValueError(
            f"x has shape {tuple(x.shape)}; expected (batch, {edge}, {edge}, {channels})"
        )


def grid_of(kind: TableType, name: str) -> tuple[int, int]:
    """Bandlimit and channels of a table that the network ``name`` is built for.

    Raises ``UserError`` for a table of another grid.
    """
    if faults := kind.mismatches(TableType(grid="driscoll-healy")):
        raise UserError(*(f"model.name is {name}; its table's {fault}" for fault in faults))
    if kind.height is None or kind.height != kind.width or kind.height % 2 or kind.channels is None:
        raise ValueError(f"kind is {kind}; expected an even height, as wide as high, and channels")
    return kind.height // 2, kind.channels
