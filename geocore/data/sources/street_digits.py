"""House-number digits made here: handwritten digits on coloured walls, with neighbours, 32 x 32.

What SVHN is (``geocore.data.sources.svhn``) where nothing can be downloaded: small colour images
whose label is the digit in the middle, with others cut off at the sides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from geocore.data.sources.base import Images, Rows, Source, gathered
from geocore.data.sources.street_rendering import (
    NUMBERS,
    SIDE,
    noise_words,
    render,
    smooth_fields,
)
from geocore.data.table import SPLITS
from geocore.runs.digest import digest_bytes, digest_json

__all__ = ["StreetDigits"]

_STREAM = 0x57EE7D16  # of random words: other users of a seed have other streams
_CHOICES = 3  # words that choose the digit and its two neighbours
_BATCH = 64  # images that are rendered at once: what fits into a core's cache
_READ = 4096  # items that are read at a time


class StreetDigits(Source):
    """``counts`` images for train, val and test; the label is the middle digit's.

    A digit and its neighbours are items of ``items`` (squares of one channel), each of its split
    with equal probability. ``parts (items,)`` says which split an item belongs to: no item is in
    images of two splits, not even at a side. An image depends on ``seed``, its split and its place
    in it alone, so the first images of a larger split are those of a smaller. How it looks is
    said in ``geocore.data.sources.street_rendering``.
    """

    name = "street_digits"
    shape = (SIDE, SIDE, 3)

    def __init__(
        self, items: Source, parts: npt.NDArray[np.uint8], counts: Sequence[int], seed: int
    ) -> None:
        height, width, channels = items.shape
        if height != width or channels != 1:
            raise ValueError(f"items have shape {items.shape}; expected squares of one channel")
        if parts.shape != (len(items),):
            raise ValueError(f"parts has shape {parts.shape}; expected ({len(items)},)")
        self.classes = items.classes
        self._items, self._seed = items, seed
        pools = [np.flatnonzero(parts == code) for code in range(len(SPLITS))]
        codes = np.repeat(np.arange(len(SPLITS), dtype=np.uint8), counts)
        self.splits = self._codes = codes
        self._places = np.concatenate([np.arange(count, dtype=np.int64) for count in counts])
        chosen = np.stack([self._words(row, _CHOICES) for row in range(len(codes))])
        sizes = np.array([len(pool) for pool in pools])
        index = (_uniform(chosen) * sizes[codes][:, None]).astype(np.int64)
        self.chosen = np.empty_like(index)
        for code, pool in enumerate(pools):
            self.chosen[codes == code] = pool[index[codes == code]]
        self.labels = items.labels[self.chosen[:, 0]]
        self.digest = digest_json(
            ["street_digits", items.digest, digest_bytes(parts.tobytes()), list(counts), seed]
        )

    def images(self, rows: Rows, size: int) -> Iterator[Images]:
        return gathered(self._pieces(rows), size)

    def _pieces(self, rows: Rows) -> Iterator[Images]:
        every = np.arange(len(self._items), dtype=np.int64)
        digits = np.concatenate(list(self._items.images(every, _READ)))
        words = _CHOICES + NUMBERS + noise_words()
        for start in range(0, len(rows), _BATCH):
            some = rows[start : start + _BATCH]
            drawn = np.stack([self._words(int(row), words) for row in some])
            _, numbers, noise = np.split(drawn, [_CHOICES, _CHOICES + NUMBERS], axis=1)
            chosen = self.chosen[some]
            fields = smooth_fields(digits[chosen.reshape(-1)])
            fields = fields.reshape(*chosen.shape, *fields.shape[1:])
            yield render(_uniform(numbers), noise, fields, self._items.shape[0])

    def _words(self, row: int, count: int) -> npt.NDArray[np.uint64]:
        """The first ``count`` random words that belong to an image."""
        entropy = [self._seed, _STREAM, int(self._codes[row]), int(self._places[row])]
        words = np.random.Philox(np.random.SeedSequence(entropy)).random_raw(count)
        return np.asarray(words, np.uint64)


def _uniform(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    """Words as numbers in [0, 1)."""
    return np.asarray(words >> np.uint64(11), np.float64) / 2**53
