"""What every source of images offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from geocore.data.table import SPLITS

__all__ = ["Batch", "Images", "Rows", "Samples", "Source", "class_order", "gathered"]

Images = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.int64]


class Batch(NamedTuple):
    """Some samples: ``(n, height, width, channels)``, ``(n,)``, and ``(n,)`` where official."""

    images: Images
    labels: npt.NDArray[np.int64]
    splits: npt.NDArray[np.uint8] | None


class Samples(ABC):
    """8-bit images, all of one shape, in an order that does not change, and what belongs to them.

    A source is checked when it is opened, and only ever streamed after that. ``splits`` are its
    own (``(n,)`` codes train 0, val 1, test 2) or None; ``strata`` ``(n,)``, indices into
    ``stratum_names``, are what a split that is made balances. ``digest`` is that of the content:
    equal sources have equal digests, wherever they lie. ``camera`` is the one that took the images
    (``geocore.camera.camera_to_dict``), if the source knows, and ``views`` name ways of seeing.
    """

    label_kind: ClassVar[Literal["class", "mask"]]
    name: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    splits: npt.NDArray[np.uint8] | None
    digest: str
    camera: dict[str, Any] | None = None
    views: tuple[str, ...] = ()

    @property
    @abstractmethod
    def strata(self) -> npt.NDArray[np.int64]:
        """What the samples are balanced by, ``(n,)``."""

    @property
    @abstractmethod
    def stratum_names(self) -> tuple[str, ...]:
        """Names of the strata; none where all samples are in one."""

    def __len__(self) -> int:
        return len(self.strata)

    @property
    def official(self) -> dict[str, int]:
        """Sizes of the source's own splits; empty where it has none."""
        if self.splits is None:
            return {}
        counts = np.bincount(self.splits, minlength=len(SPLITS)).tolist()
        return {split: count for split, count in zip(SPLITS, counts, strict=True) if count}

    @abstractmethod
    def known(self, rows: Rows) -> dict[str, npt.NDArray[Any]]:
        """Small columns of ``rows``: what is known without reading images."""

    @abstractmethod
    def pieces(self, rows: Rows, size: int) -> Iterator[dict[str, npt.NDArray[Any]]]:
        """Large columns of the rising ``rows``, ``size`` rows at a time, the last one fewer.

        Only one piece at a time is held. Raises ``UserError`` naming an image that is broken.
        """


class Source(Samples):
    """Images with a class each: ``labels`` ``(n,)``, each an index into ``classes``, are held."""

    label_kind = "class"
    labels: npt.NDArray[np.int64]

    @property
    def strata(self) -> npt.NDArray[np.int64]:
        return self.labels

    @property
    def stratum_names(self) -> tuple[str, ...]:
        return self.classes

    def known(self, rows: Rows) -> dict[str, npt.NDArray[Any]]:
        return {"label": self.labels[rows]}

    def pieces(self, rows: Rows, size: int) -> Iterator[dict[str, npt.NDArray[Any]]]:
        return ({"image": images} for images in self.images(rows, size))

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
