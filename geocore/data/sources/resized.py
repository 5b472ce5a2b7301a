"""Any source with its images resized."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from geocore.data.sources.base import Images, Rows, Source
from geocore.data.sources.decode import resize

__all__ = ["Resized"]


class Resized(Source):
    """``source`` with every image resized to ``side`` x ``side`` pixels, as ``decode.resize``."""

    def __init__(self, source: Source, side: int) -> None:
        self.name, self.classes, self.digest = source.name, source.classes, source.digest
        self.labels, self.splits = source.labels, source.splits
        self.shape = (side, side, source.shape[2])
        self._source = source

    def images(self, rows: Rows, size: int) -> Iterator[Images]:
        side = self.shape[0]
        for images in self._source.images(rows, size):
            yield np.stack([resize(image, side) for image in images])
