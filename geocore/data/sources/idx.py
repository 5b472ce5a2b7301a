"""MNIST and its drop-in successors: four IDX files, at hand or downloaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from geocore.data.sources.base import Images, Rows, Source, gathered
from geocore.data.sources.download import download
from geocore.data.sources.idxfile import IdxFile, check_idx
from geocore.errors import UserError
from geocore.runs.digest import digest_json

__all__ = ["IdxDataset", "IdxImages"]

_SETS = ("train", "t10k")
_CODES = (0, 2)  # train and test


@dataclass(frozen=True)
class IdxDataset:
    """What is known of a data set beforehand.

    ``md5`` gives the checksum of each file's decompressed bytes; a file that it leaves out is
    checked by its structure only. ``mirrors`` are addresses that file names are appended to.
    """

    name: str
    classes: tuple[str, ...]
    side: int
    md5: Mapping[str, str]
    mirrors: tuple[str, ...]


class IdxImages(Source):
    """The training set followed by the test set, which are its official splits.

    Each file is looked for as ``NAME`` and ``NAME.gz`` in ``home/DATASET``, then in
    ``downloads/DATASET``; what is in neither is downloaded to the latter. Raises ``UserError``,
    one line a fault, for files that are missing, truncated, altered or do not belong together.
    """

    def __init__(
        self,
        about: IdxDataset,
        downloads: Path,
        home: Path | None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.name, self.classes = about.name, about.classes
        self.shape = (about.side, about.side, 1)
        folders = [*([] if home is None else [home / about.name]), downloads / about.name]
        pairs = []
        for part in _SETS:
            images = _open(about, f"{part}-images-idx3-ubyte", 3, folders, say)
            answers = _open(about, f"{part}-labels-idx1-ubyte", 1, folders, say)
            pairs.append((images, answers))
        self._files = [images for images, _ in pairs]
        self.labels = np.concatenate([self._labels(*pair) for pair in pairs])
        counts = [file.shape[0] for file in self._files]
        self.splits = np.repeat(np.array(_CODES, np.uint8), counts)
        self._starts = np.cumsum([0, *counts])
        self.digest = digest_json([file.md5 for pair in pairs for file in pair])

    def images(self, rows: Rows, size: int) -> Iterator[Images]:
        pieces = (
            piece.reshape(-1, *self.shape)
            for file, (start, stop) in zip(self._files, pairwise(self._starts), strict=True)
            for piece in file.read(rows[(rows >= start) & (rows < stop)] - start)
        )
        return gathered(pieces, size)

    def _labels(self, images: IdxFile, answers: IdxFile) -> Rows:
        if images.shape[0] != answers.shape[0]:
            raise UserError(
                f"{answers.path}: holds {answers.shape[0]} labels; "
                f"expected {images.shape[0]}, one for each image of {images.path.name}"
            )
        if images.shape[1:] != self.shape[:2]:
            found = " x ".join(str(side) for side in images.shape[1:])
            expected = " x ".join(str(side) for side in self.shape[:2])
            raise UserError(f"{images.path}: images are {found}; expected {expected}")
        rows = np.arange(answers.shape[0], dtype=np.int64)
        labels = np.concatenate(list(answers.read(rows))).astype(np.int64)
        if len(wrong := np.flatnonzero(labels >= len(self.classes))):
            raise UserError(
                f"{answers.path}: label {wrong[0]} is {labels[wrong[0]]}; "
                f"expected 0 to {len(self.classes) - 1}"
            )
        return labels


def _open(
    about: IdxDataset, name: str, dimensions: int, folders: list[Path], say: Callable[[str], None]
) -> IdxFile:
    md5 = about.md5.get(name)
    for folder in folders:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return check_idx(path, dimensions, md5)
    target = folders[-1] / f"{name}.gz"
    failures = download(
        [f"{mirror}{name}.gz" for mirror in about.mirrors],
        target,
        check=lambda path: check_idx(path, dimensions, md5),
        say=say,
    )
    if target.is_file():
        return check_idx(target, dimensions, md5)
    looked = " nor ".join(str(folder) for folder in folders)
    unset = ", GEOCORE_DATA is not set" if len(folders) == 1 else ""
    raise UserError(
        f"{about.name}: no {name} or {name}.gz in {looked}{unset}, and no download "
        f"({'; '.join(failures)}); expected the file there: set GEOCORE_DATA to the folder "
        f"that holds {about.name}/, or put it into {folders[-1]}"
    )
