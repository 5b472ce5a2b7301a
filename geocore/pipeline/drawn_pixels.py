"""The HEALPix pixels that pictures of a sphere are painted from, whatever the table's grid."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from geocore.data.tabletype import TableType
from geocore.healpix.grid import ALL_FACES, Ordering, pixel_centres
from geocore.so3.driscoll_healy import driscoll_healy_nearest

__all__ = ["DrawnPixels"]


class DrawnPixels(NamedTuple):
    """The HEALPix pixels that maps are drawn in: their own, or for each the grid's nearest point.

    ``taken`` is None where they are the maps' own.
    """

    nside: int
    faces: tuple[int, ...]
    ordering: Ordering
    taken: Tensor | None

    @classmethod
    def of(cls, kind: TableType) -> DrawnPixels:
        """Those of a table on the sphere; ``ValueError`` for any other."""
        if kind.nside is not None and kind.faces is not None and kind.ordering is not None:
            return cls(kind.nside, kind.faces, kind.ordering, None)
        if kind.grid != "driscoll-healy" or kind.height is None:
            raise ValueError(f"table has type {kind}; expected maps on the sphere")
        bandlimit = kind.height // 2
        nside = 1 << (bandlimit - 1).bit_length()  # three pixels a point at least
        taken = driscoll_healy_nearest(bandlimit, pixel_centres(nside))
        return cls(nside, ALL_FACES, "nested", taken)

    def take(self, values: Tensor) -> Tensor:
        """``values (points, ...)`` of the table's grid at the pixels, ``(npix, ...)``."""
        return values if self.taken is None else values[self.taken]
