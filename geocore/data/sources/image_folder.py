"""Anyone's own labelled images: a folder a class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from geocore.data.sources.base import Images, Rows, Source, class_order, gathered
from geocore.data.sources.decode import Header, decode, header
from geocore.errors import UserError
from geocore.runs.digest import digest_file, digest_json

__all__ = ["ImageFolder"]

_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_SPLIT_FOLDERS = {"train": 0, "val": 1, "valid": 1, "validation": 1, "test": 2}


class ImageFolder(Source):
    """``FOLDER/CLASS/.../IMAGE``, or ``FOLDER/{train,val,test}/CLASS/.../IMAGE``.

    With ``train`` among the folders, and nothing but ``train``, ``val`` (``valid``,
    ``validation``) and ``test``, these are the official splits. Classes are the folders' names in
    order, by value if all are numbers. Files with other endings than an image's, and hidden ones,
    are passed over. Images are colour if any of them is, else grey. Without ``side`` all must
    have the same size. Opening reads every header, so that most faults show before anything is
    written; a ``UserError`` names the file.
    """

    name = "image_folder"

    def __init__(self, folder: Path, side: int | None = None) -> None:
        self._folder, self._side = folder, side
        if not folder.is_dir():
            raise UserError(f"{folder}: not a folder; expected class folders with images")
        top = {path.name: path for path in _subfolders(folder)}
        split = "train" in top and top.keys() <= _SPLIT_FOLDERS.keys()
        found: list[tuple[str, int, Path]] = []
        for code, parent in (
            [(_SPLIT_FOLDERS[name], path) for name, path in top.items()] if split else [(0, folder)]
        ):
            found += [(label, code, path) for label, path in _labelled(parent)]
        found.sort(key=lambda entry: (entry[1], entry[2].relative_to(folder).as_posix()))
        self.classes = class_order({label for label, _, _ in found})
        index = {label: number for number, label in enumerate(self.classes)}
        self._paths = [path for _, _, path in found]
        self.labels = np.array([index[label] for label, _, _ in found], np.int64)
        self.splits = np.array([code for _, code, _ in found], np.uint8) if split else None
        self.shape = self._common_shape()
        self.digest = digest_json(
            {path.relative_to(folder).as_posix(): digest_file(path) for path in self._paths}
        )

    def images(self, rows: Rows, size: int) -> Iterator[Images]:
        channels = self.shape[2]
        pieces = (
            decode(path, str(path), channels, self._side)[np.newaxis]
            for path in (self._paths[row] for row in rows)
        )
        return gathered(pieces, size)

    def _common_shape(self) -> tuple[int, int, int]:
        first: Header | None = None
        channels = 1
        for path in self._paths:
            about = header(path, str(path))
            channels = max(channels, about.channels)
            first = first or about
            if self._side is None and about[:2] != first[:2]:
                raise UserError(
                    f"{path}: {about}; expected {first} as {self._paths[0]}, "
                    "or data.image_size to resize them all"
                )
        if first is None:
            raise UserError(f"{self._folder}: no images; expected class folders with images")
        side = self._side
        return (first.height, first.width, channels) if side is None else (side, side, channels)


def _subfolders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and not path.name.startswith(".") and path.is_file()


def _labelled(parent: Path) -> Iterator[tuple[str, Path]]:
    """Every image below ``parent`` with the name of its class folder."""
    for path in sorted(parent.iterdir()):
        if _is_image(path):
            raise UserError(f"{path}: lies in no class folder; expected {parent}/CLASS/{path.name}")
    for folder in _subfolders(parent):
        images = [path for path in folder.rglob("*") if _is_image(path)]
        if not images:
            raise UserError(f"{folder}: a class folder without images; expected at least one")
        for path in images:
            yield folder.name, path
