"""Cityscapes: 2,975 + 500 finely labelled frames of 21 cities (Cordts et al., 2016).

They may not be handed on, so they are not downloaded: https://www.cityscapes-dataset.com gives
``leftImg8bit_trainvaltest.zip`` and ``gtFine_trainvaltest.zip`` to those who register.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from geocore.data.sources.paired import Pair, PairedImages
from geocore.data.table import IGNORED
from geocore.errors import UserError

__all__ = ["ORIGIN", "Cityscapes"]

ORIGIN = "https://www.cityscapes-dataset.com"

_SPLITS = {"train": 0, "val": 2}  # the labels of test/ are withheld, so val/ is what is reported
_IMAGE, _LABELS = "_leftImg8bit.png", "_gtFine_labelIds.png"
_WHERE = f"leftImg8bit/ and gtFine/ with train/ and val/ as in {ORIGIN}"
_TRAINED = {
    7: "road",
    8: "sidewalk",
    11: "building",
    12: "wall",
    13: "fence",
    17: "pole",
    19: "traffic_light",
    20: "traffic_sign",
    21: "vegetation",
    22: "terrain",
    23: "sky",
    24: "person",
    25: "rider",
    26: "car",
    27: "truck",
    28: "bus",
    31: "train",
    32: "motorcycle",
    33: "bicycle",
}  # a label's id -> its class, in the order of the benchmark's training ids


class Cityscapes(PairedImages):
    """``leftImg8bit/SPLIT/CITY/NAME_leftImg8bit.png``, ``gtFine/.../NAME_gtFine_labelIds.png``.

    ``train`` is training, from which validation is held out; the public ``val``, 500 frames of
    three other cities, is the test split, as in the literature. The nineteen classes are those
    that the benchmark trains on; its other ids (0 to 33) become ``IGNORED``. ``size`` (height,
    width) reduces images by area, labels by containing pixel, each side by itself: another shape
    than 1 : 2 squeezes them. A ``UserError`` names the file.
    """

    name = "cityscapes"
    classes = tuple(_TRAINED.values())
    codes = np.full(34, IGNORED, np.uint8)
    codes[list(_TRAINED)] = np.arange(len(_TRAINED))
    numbers = "a label's id, 0 to 33"

    def __init__(self, folder: Path, size: tuple[int, int] | None = None) -> None:
        if not folder.is_dir():
            raise UserError(f"{folder}: not a folder; expected {_WHERE}")
        pairs = [pair for split in _SPLITS for pair in _pairs(folder, split)]
        super().__init__(folder, pairs, size)


def _pairs(folder: Path, split: str) -> list[Pair]:
    """Frames of a split, by city and name, each with its labels."""
    images, labels = folder / "leftImg8bit" / split, folder / "gtFine" / split
    for place in (images, labels):
        if not place.is_dir():
            raise UserError(f"{place}: no such folder; expected {_WHERE}")
    pairs = []
    for path in sorted(images.glob(f"*/*{_IMAGE}")):
        beside = labels / path.parent.name / f"{path.name.removesuffix(_IMAGE)}{_LABELS}"
        if not beside.is_file():
            raise UserError(f"{beside}: missing; expected the labels of {path}")
        pairs.append(Pair(_SPLITS[split], path, beside))
    if not pairs:
        raise UserError(f"{images}: empty; expected images CITY/NAME{_IMAGE}")
    return pairs
