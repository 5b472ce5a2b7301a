"""What sources with a class a pixel share: one frame after the other, joined into columns."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from geocore.data.sources.base import Images, Rows, Samples
from geocore.errors import UserError

__all__ = ["DenseSource", "Frame", "check_label"]

Plane = npt.NDArray[Any]


class Frame(NamedTuple):
    """One sample: ``image (height, width, channels)`` and planes ``(height, width)``.

    ``label`` holds indices into the classes, ``geocore.data.table.IGNORED`` where there is none;
    ``valid`` is None where every pixel sees something, ``depth`` (metres along the ray, 0 where
    there is none) where the source has no depth.
    """

    image: Images
    label: Plane
    valid: Plane | None = None
    depth: Plane | None = None


class DenseSource(Samples):
    """Images with a class, and perhaps a depth, for each pixel.

    ``poses`` ``(n, 4)`` are unit quaternions ``(w, x, y, z)``: from the camera's own frame to that
    of the source's upright camera. ``seen`` ``(n,)`` are indices into ``views``. A subclass says
    how many samples there are, and makes their frames.
    """

    label_kind = "mask"
    poses: npt.NDArray[np.float64] | None = None
    seen: npt.NDArray[np.uint8] | None = None

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def frames(self, rows: Rows) -> Iterator[Frame]:
        """The samples of the rising ``rows``, all with the same planes."""

    @property
    def strata(self) -> npt.NDArray[np.int64]:
        return np.zeros(len(self), np.int64)

    @property
    def stratum_names(self) -> tuple[str, ...]:
        return ()

    def known(self, rows: Rows) -> dict[str, npt.NDArray[Any]]:
        columns: dict[str, npt.NDArray[Any]] = {}
        if self.poses is not None:
            columns["rotation"] = self.poses[rows]
        if self.seen is not None:
            columns["view"] = self.seen[rows]
        return columns

    def pieces(self, rows: Rows, size: int) -> Iterator[dict[str, npt.NDArray[Any]]]:
        if size < 1:
            raise ValueError(f"size is {size}; expected at least 1")
        frames = self.frames(rows)
        for start in range(0, len(rows), size):
            yield self._joined(frames, min(size, len(rows) - start))

    def _joined(self, frames: Iterator[Frame], count: int) -> dict[str, npt.NDArray[Any]]:
        """The next ``count`` frames as columns."""
        columns: dict[str, npt.NDArray[Any]] = {}
        for place in range(count):
            for name, value in next(frames)._asdict().items():
                if value is None:
                    continue
                if name not in columns:
                    columns[name] = np.empty((count, *value.shape), value.dtype)
                columns[name][place] = value
        return columns


def check_label(label: Plane, codes: int, expected: str, where: str) -> None:
    """``UserError`` for the first pixel whose label is not below ``codes``."""
    if label.max() < codes:
        return
    row, column = (int(axis[0]) for axis in np.nonzero(label >= codes))
    raise UserError(
        f"{where}: class {label[row, column]} at row {row}, column {column}; expected {expected}"
    )
