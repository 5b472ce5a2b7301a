"""Maps of a table's grid as they are shown: nested HEALPix, no finer than was asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from geocore.data.tabletype import TableType
from geocore.healpix.hierarchy import ud_grade
from geocore.pipeline.drawn_pixels import DrawnPixels
from geocore.report.sphere_file import UNKNOWN

__all__ = ["Shown"]


class Shown:
    """The grid ``nside``, ``faces`` that maps of ``kind`` are shown on, at most at ``nside``.

    Coarser pixels hold the mean of what is known in them, or the class of most of that. A point of
    a Driscoll-Healy grid is shown by the pixels that it is nearest to.
    """

    def __init__(self, kind: TableType, nside: int) -> None:
        self._drawn = DrawnPixels.of(kind)
        self.nside = min(nside, self._drawn.nside)
        self.faces = self._drawn.faces

    def means(self, values: Tensor, known: Tensor) -> npt.NDArray[np.float32]:
        """``values (points, channels)``, ``known (points,)`` -> ``(npix, channels)``; NaN: none."""
        found, sees = ud_grade(
            self._drawn.take(values).double(), self.nside, self.faces,
            valid=self._drawn.take(known),
        )  # fmt: skip
        told: npt.NDArray[Any] = torch.where(sees[:, None], found, torch.nan).float().numpy()
        return told

    def majority(self, codes: Tensor, known: Tensor, classes: int) -> npt.NDArray[np.uint8]:
        """``codes (points,)`` below ``classes`` -> ``(npix,)``; the first of equally frequent ones,
        ``UNKNOWN`` where none is known.
        """
        mine, sees = self._drawn.take(codes).long(), self._drawn.take(known)
        counts = F.one_hot(torch.where(sees, mine, classes), classes + 1)[:, :classes]
        counts = counts.unflatten(0, (-1, (self._drawn.nside // self.nside) ** 2)).sum(dim=1)
        found = torch.where(counts.sum(dim=1) > 0, counts.argmax(dim=1), UNKNOWN)
        told: npt.NDArray[Any] = found.to(torch.uint8).numpy()
        return told
