"""What every source of labelled images offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from geocore.data.table import SPLITS

__all__ = ["Batch", "Images", "Rows", "Source", "class_order", "gathered"]

Images = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.int64]


class Batch(NamedTuple):
    """Some samples: ``(n, height, width, channels)``, ``(n,)``, and ``(n,)`` where official."""

    images: Images
    labels: npt.NDArray[np.int64]
    splits: npt.NDArray[np.uint8] | None


class Source(ABC):
    """Labelled 8-bit images, all of one shape, in an order that does not change.

    A source is checked when it is opened: ``labels`` (``(n,)``, each an index into ``classes``)
    and ``splits`` (``(n,)`` codes train 0, val 1, test 2, or None where the source has no splits
    of its own) are held; the images are only ever streamed. ``digest`` is that of the content:
    equal sources have equal digests, wherever they lie.
    """

    label_kind: ClassVar[Literal["class"]] = "class"
    name: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    labels: npt.NDArray[np.int64]
    splits: npt.NDArray[np.uint8] | None
    digest: str

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def official(self) -> dict[str, int]:
        """Sizes of the source's own splits; empty where it has none."""
        if self.splits is None:
            return {}
        counts = np.bincount(self.splits, minlength=len(SPLITS)).tolist()
        return {split: count for split, count in zip(SPLITS, counts, strict=True) if count}

    @abstractmethod
    def images(self, rows: Rows, size: int) -> Iterator[Images]:
        """Images of the rising ``rows``, ``(size, height, width, channels)``, the last one fewer.

        Only one array at a time is held. Raises ``UserError`` naming an image that is broken.
        """

    def batches(self, size: int) -> Iterator[Batch]:
        """All samples in the source's order, ``size`` at a time."""
        start = 0
        for images in self.images(np.arange(len(self), dtype=np.int64), size):
            chosen = slice(start, start + len(images))
            splits = None if self.splits is None else self.splits[chosen]
            yield Batch(images, self.labels[chosen], splits)
            start += len(images)


def class_order(names: set[str]) -> tuple[str, ...]:
    """Class names in order: by value if all are whole numbers (2 before 10), else by letters."""
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def gathered(pieces: Iterable[Images], size: int) -> Iterator[Images]:
    """The rows of ``pieces``, of whatever lengths, ``size`` at a time, the last array fewer."""
    if size < 1:
        raise ValueError(f"size is {size}; expected at least 1")
    held: list[Images] = []
    count = 0
    for piece in pieces:
        rest = piece
        while len(rest):
            head, rest = rest[: size - count], rest[size - count :]
            held.append(head)
            count += len(head)
            if count == size:
                yield np.concatenate(held)
                held, count = [], 0
    if held:
        yield np.concatenate(held)
