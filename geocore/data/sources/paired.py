"""What road scenes on disk share: images, each with a file of labels, at one size or reduced."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from geocore.data.sources.base import Rows
from geocore.data.sources.decode import decode, header
from geocore.data.sources.dense import DenseSource, Frame, check_label
from geocore.data.sources.masks import read_mask
from geocore.data.sources.reduce import area_mean, containing
from geocore.errors import UserError
from geocore.runs.digest import digest_file, digest_json

__all__ = ["Pair", "PairedImages"]


class Pair(NamedTuple):
    """Code of an official split, an image, and its labels."""

    split: int
    image: Path
    labels: Path


class PairedImages(DenseSource):
    """``pairs`` of files below ``folder``, in that order, with official splits.

    ``size`` (height, width) reduces images by area, labels by containing pixel; without it all
    images must have the first one's size. ``codes[number]`` is the class of what a label file
    calls ``number``, ``IGNORED`` where it is none; ``numbers`` says which there may be. Raises
    ``UserError`` naming the file.
    """

    codes: ClassVar[npt.NDArray[np.uint8]]
    numbers: ClassVar[str]

    def __init__(
        self, folder: Path, pairs: Sequence[Pair], size: tuple[int, int] | None = None
    ) -> None:
        self._files = list(pairs)
        self.splits = np.array([pair.split for pair in pairs], np.uint8)
        start = pairs[0].image
        first = header(start, str(start))
        for _, image, _ in self._files if size is None else ():
            if (about := header(image, str(image)))[:2] != first[:2]:
                raise UserError(
                    f"{image}: {about}; expected {first} as {start}, "
                    "or data.height and data.width to reduce them all"
                )
        height, width = size or first[:2]
        self.shape = (height, width, 3)
        self.digest = digest_json(
            {path.relative_to(folder).as_posix(): digest_file(path)
             for pair in pairs for path in (pair.image, pair.labels)}
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self._files)

    def frames(self, rows: Rows) -> Iterator[Frame]:
        height, width, _ = self.shape
        for row in rows:
            _, path, labels = self._files[row]
            image, label = decode(path, str(path), 3), read_mask(labels)
            if label.shape != image.shape[:2]:
                raise UserError(
                    f"{labels}: {label.shape[1]} x {label.shape[0]} pixels; "
                    f"expected {image.shape[1]} x {image.shape[0]} as {path.name}"
                )
            check_label(label, len(self.codes), self.numbers, str(labels))
            label = self.codes[containing(label, height, width)]
            yield Frame(area_mean(image, height, width), label)
