"""Planar images as nested pixels: four consecutive tokens are a patch, a run of them a window.

An image is cut into square tiles, row after row, and the pixels of a tile follow each other in
nested (Morton) order, as those of a HEALPix face do. So a network over nested tokens, which joins
four consecutive ones to their parent, is a network over the plane.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from geocore.healpix.grid import nest2xyf
from geocore.healpix.shifts import ShiftPlan

__all__ = ["PlanarOrder"]


@dataclass(frozen=True)
class PlanarOrder:
    """A grid of ``rows`` x ``columns`` places in tiles of ``side``, a power of two.

    The image fills the first ``height`` rows and ``width`` columns; what remains of the last tiles
    is padding. ``rows`` and ``columns`` are multiples of ``side``. Places stand in the order of the
    tiles, row after row, and nested within a tile.
    """

    height: int
    width: int
    side: int

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 1:
            found = f"{self.height} x {self.width}"
            raise ValueError(f"the grid is {found}; expected at least 1 x 1")
        if self.side < 1 or self.side & (self.side - 1):
            raise ValueError(f"side is {self.side}; expected a power of two")

    @property
    def rows(self) -> int:
        """Rows with the padding."""
        return -(-self.height // self.side) * self.side

    @property
    def columns(self) -> int:
        """Columns with the padding."""
        return -(-self.width // self.side) * self.side

    @property
    def places(self) -> int:
        """How many places there are, padding included."""
        return self.rows * self.columns

    def parents(self) -> PlanarOrder:
        """The order of the 2 x 2 patches: place i of it is made of places 4 i to 4 i + 3."""
        if self.side == 1:
            raise ValueError("side is 1; expected at least 2 to join patches")
        return PlanarOrder(-(-self.height // 2), -(-self.width // 2), self.side // 2)

    def coordinates(self) -> tuple[Tensor, Tensor]:
        """Row and column of each place, ``(places,)`` int64 each."""
        column, row, _ = nest2xyf(self.side, torch.arange(self.side**2))
        across = self.columns // self.side
        tile = torch.arange(self.places // self.side**2)
        first_row, first_column = tile // across * self.side, tile % across * self.side
        return (
            (first_row[:, None] + row).reshape(-1),
            (first_column[:, None] + column).reshape(-1),
        )

    def numbers(self) -> Tensor:
        """The place at each row and column, ``(rows, columns)`` int64."""
        row, column = self.coordinates()
        numbers = torch.empty(self.rows, self.columns, dtype=torch.int64)
        numbers[row, column] = torch.arange(self.places)
        return numbers

    def inside(self) -> Tensor:
        """Whether each place is one of the image, not of the padding, ``(places,)`` bool."""
        row, column = self.coordinates()
        return (row < self.height) & (column < self.width)

    def plan(self, window: int, shift: bool) -> ShiftPlan:
        """Windows of ``window`` places, moved by half their side along rows and columns.

        The image is rolled, as in Swin (arXiv:2103.14030, fig. 4), and in the windows where
        opposite borders or padding meet places attend to their own kind alone. Along a direction
        with a single window nothing moves. Without ``shift`` the windows stay.
        """
        side = math.isqrt(max(window, 0))
        if side < 1 or side * side != window or side & (side - 1) or side > self.side:
            expected = f"a power of four up to {self.side**2}"
            raise ValueError(f"window is {window}; expected {expected}")
        row, column = self.coordinates()
        down = side // 2 if shift and self.rows > side else 0
        right = side // 2 if shift and self.columns > side else 0
        below, beside = row + down, column + right
        permutation = self.numbers()[below % self.rows, beside % self.columns]
        around = 1 + 2 * (below >= self.rows) + (beside >= self.columns)
        labels = torch.where(self.inside()[permutation], around, 0).reshape(-1, window)
        masked = (labels != labels[:, :1]).any(dim=1).nonzero().flatten()
        return ShiftPlan(permutation, permutation.argsort(), masked, labels[masked].to(torch.uint8))
