"""Canvases: items of another source strewn over a dark plane, with a class a pixel.

The data of Gerken, Carlsson, Linander, Ohlsson, Petersson & Persson (2022): one or several digits
or articles an image, masks from their levels. Theirs share a rotation between hundreds of images;
here ``project`` rotates each sample by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from geocore.data.sources.base import Images, Rows, Source
from geocore.data.sources.decode import resize
from geocore.data.sources.dense import DenseSource, Frame
from geocore.data.sources.placement import TRIES, place, room
from geocore.data.table import SPLITS
from geocore.errors import UserError
from geocore.runs.digest import digest_bytes, digest_json

__all__ = ["MOST_ITEMS", "Boxes", "Canvas"]

MOST_ITEMS = 100
_BLOCK = 4096  # values of the counter that belong to one canvas: 1 + TRIES * MOST_ITEMS fit in
_STREAM = 0xCA117A5  # of random numbers, plus the split: other users of a seed count from 0
_SHARE = 4  # an item is where it has more than a quarter of its own brightest level
_READ = 4096  # items that are read at a time

Integers = npt.NDArray[np.int64]


class Boxes(NamedTuple):
    """What lies where on some canvases, at most ``most`` items each: what a detector learns.

    ``label (n, most)`` are indices into the classes, 0 (the background) where there is no further
    item. ``box (n, most, 4)`` is the smallest rectangle around an item's labelled pixels,
    ``frame (n, most, 4)`` the whole square that it was pasted as: rows and columns ``(top, left,
    bottom, right)``, the last two just outside; 0 where there is none.
    """

    label: Integers
    box: Integers
    frame: Integers


class Canvas(DenseSource):
    """``counts`` canvases for train, val and test, ``size`` ``(height, width)`` pixels each.

    A canvas holds ``least`` to ``most`` items, each number as likely; each item is any of its
    split's with equal probability, and lies at random so that no two frames overlap
    (``geocore.data.sources.placement``). ``parts (items,)`` says which split each item of
    ``items`` belongs to: no item is on canvases of two splits. All of this depends on ``seed``,
    the split and the canvas's place in it alone, so the first canvases of a larger split are
    those of a smaller. ``side`` resizes the items, as ``decode.resize``; None leaves them as
    they are.

    Pixels with more than a quarter of their item's brightest level have its class, 1 more than
    in ``items``; class 0 is the background, on an item's frame as well. The threshold goes by
    the item since articles of clothing may be dark all over.
    """

    name = "canvas"

    def __init__(
        self,
        items: Source,
        parts: npt.NDArray[np.uint8],
        counts: Sequence[int],
        size: tuple[int, int],
        number: tuple[int, int],
        side: int | None,
        seed: int,
    ) -> None:
        height, width, channels = items.shape
        if height != width or channels != 1:
            raise ValueError(f"items have shape {items.shape}; expected squares of one channel")
        if not 1 <= number[0] <= number[1] <= MOST_ITEMS:
            raise ValueError(f"number is {number}; expected 1 <= least <= most <= {MOST_ITEMS}")
        self._side = height if side is None else side
        if number[1] > (holds := room(size, self._side)):
            raise UserError(
                f"data.items is {list(number)} of {self._side} x {self._side} pixels, and a canvas "
                f"of {size[1]} x {size[0]} holds {holds}; expected fewer or smaller ones"
            )
        self._items, self._number, self._seed = items, number, seed
        self._pools = [np.flatnonzero(parts == code) for code in range(len(SPLITS))]
        self.classes = ("background", *items.classes)
        self.shape = (*size, channels)
        self._codes = np.repeat(np.arange(len(SPLITS), dtype=np.uint8), counts)
        self.splits = self._codes
        self._places = np.concatenate([np.arange(count, dtype=np.int64) for count in counts])
        self.digest = digest_json(
            ["canvas", items.digest, digest_bytes(parts.tobytes()), list(counts), list(size),
             list(number), self._side, seed]
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self._places)

    def frames(self, rows: Rows) -> Iterator[Frame]:
        levels = self._levels()
        for row in rows:
            image, label = np.zeros(self.shape, np.uint8), np.zeros(self.shape[:2], np.uint8)
            for item, (top, left) in zip(*self._layout(int(row)), strict=True):
                inside = slice(top, top + self._side), slice(left, left + self._side)
                image[inside] = picture = resize(levels[item], self._side)
                label[inside] = np.where(_is_item(picture), self._items.labels[item] + 1, 0)
            yield Frame(image, label)

    def boxes(self, rows: Rows) -> Boxes:
        """The items of ``rows``, in the order in which they were put down."""
        levels, most = self._levels(), self._number[1]
        label = np.zeros((len(rows), most), np.int64)
        box, frame = (np.zeros((len(rows), most, 4), np.int64) for _ in range(2))
        for n, row in enumerate(rows):
            for k, (item, corner) in enumerate(zip(*self._layout(int(row)), strict=True)):
                label[n, k] = self._items.labels[item] + 1
                frame[n, k] = np.concatenate([corner, corner + self._side])
                there = _is_item(resize(levels[item], self._side))
                box[n, k] = np.tile(corner, 2) + _extent(there)
        return Boxes(label, box, frame)

    def _layout(self, row: int) -> tuple[Integers, Integers]:
        """Which items a canvas holds, ``(count,)``, and their corners ``(count, 2)``."""
        # Here, so that a source can be named without importing torch.
        from geocore.so3.sampling import uniform

        code = int(self._codes[row])
        least, most = self._number
        counter = _BLOCK * self._places[row] + np.arange(1 + TRIES * most, dtype=np.int64)
        drawn = uniform(self._seed, counter, _STREAM + code)
        count = least + int(drawn[0, 0] * (most - least + 1))
        tries = drawn[1:].reshape(TRIES, most, -1)[:, :count]
        pool = self._pools[code]
        items = pool[(tries[0, :, 0] * len(pool)).astype(np.int64)]
        height, width, _ = self.shape
        return items, place((height, width), self._side, tries[:, :, 2], tries[0, :, 1])

    def _levels(self) -> Images:
        """All items as their source has them: tens of megabytes, held while frames are made."""
        rows = np.arange(len(self._items), dtype=np.int64)
        return np.concatenate(list(self._items.images(rows, _READ)))


def _is_item(picture: Images) -> npt.NDArray[np.bool_]:
    """``(side, side, 1)`` levels -> which pixels are the item's, ``(side, side)``."""
    return np.asarray(picture[..., 0] > picture.max() // _SHARE)


def _extent(there: npt.NDArray[np.bool_]) -> Integers:
    """``(top, left, bottom, right)`` of what is True, all of it where nothing is."""
    if not there.any():
        return np.array([0, 0, *there.shape], np.int64)
    spans = [np.flatnonzero(there.any(axis=axis)) for axis in (1, 0)]
    return np.array([*(at[0] for at in spans), *(at[-1] + 1 for at in spans)], np.int64)
