"""Labelled images in Parquet, as the Hugging Face hub lays them out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from geocore.config.foreign_json import parse_json
from geocore.data.sources.base import Images, Rows, Source, class_order, gathered
from geocore.data.sources.decode import decode, header
from geocore.errors import UserError
from geocore.runs.digest import digest_file, digest_json

__all__ = ["ParquetImages"]

_PREFIXES = {"train": 0, "validation": 1, "val": 1, "test": 2}
_COLUMNS = ("img", "image")
_BATCH = 16  # encoded images in memory at once


class ParquetImages(Source):
    """``train*.parquet``, ``validation*.parquet`` (``val*``) and ``test*.parquet`` of a folder.

    The names give the official splits; a folder in which no name begins so, or a single file, has
    none. Columns: ``img`` or ``image`` (a struct with the encoded ``bytes``) and ``label``
    (integers). Class names come from the hub's metadata in the schema; without it each label that
    occurs is a class, named by its number. Whether images are colour, and their size without
    ``side``, is as in the first one; grey ones among colour are converted. Rows are streamed, a
    page of the file at a time. A ``UserError`` names the file and, counted from 0, the row.
    """

    name = "parquet_images"

    def __init__(self, path: Path, side: int | None = None) -> None:
        self._side = side
        entries = _entries(path)
        self._files = [file for _, file in entries]
        for file in self._files:
            _check_columns(file)
        labels = [_labels(file) for file in self._files]
        names = _class_names(self._files[0])
        if any(_class_names(file) != names for file in self._files):
            raise UserError(f"{path}: its files name different classes; expected the same")
        self._starts = np.cumsum([0, *(len(part) for part in labels)])
        self.classes, self.labels = _as_classes(self._files, labels, names)
        if not len(self.labels):
            raise UserError(f"{path}: no rows; expected labelled images")
        codes = [code for code, _ in entries]
        self.splits = None
        if codes[0] is not None:
            self.splits = np.repeat(np.array(codes, np.uint8), [len(part) for part in labels])
        self.shape = self._first_shape()
        self.digest = digest_json({file.name: digest_file(file) for file in self._files})

    def images(self, rows: Rows, size: int) -> Iterator[Images]:
        return gathered(self._decoded(rows), size)

    def _decoded(self, rows: Rows) -> Iterator[Images]:
        for file, (start, stop) in zip(self._files, pairwise(self._starts), strict=True):
            for row, data in _encoded(file, rows[(rows >= start) & (rows < stop)] - start):
                where = f"{file} row {row}"
                pixels = decode(data, where, self.shape[2], self._side)
                if pixels.shape != self.shape:
                    (height, width, _), (found_height, found_width, _) = self.shape, pixels.shape
                    raise UserError(
                        f"{where}: {found_width} x {found_height} pixels; expected {width} x "
                        f"{height} as the first image, or data.image_size to resize them all"
                    )
                yield pixels[np.newaxis]

    def _first_shape(self) -> tuple[int, int, int]:
        file = self._files[int(np.argmax(self._starts[1:] > 0))]
        _, data = next(_encoded(file, np.zeros(1, np.int64)))
        about = header(data, f"{file} row 0")
        side = self._side
        height, width = (about.height, about.width) if side is None else (side, side)
        return height, width, about.channels


def _entries(path: Path) -> list[tuple[int | None, Path]]:
    """Files with their split's code, training files first, or with None."""
    if path.is_file():
        return [(None, path)]
    files = sorted(file for file in path.glob("*.parquet") if not file.name.startswith("."))
    if not files:
        raise UserError(f"{path}: no *.parquet there; expected train*.parquet, test*.parquet")
    codes = {
        file: next((code for word, code in _PREFIXES.items() if file.name.startswith(word)), None)
        for file in files
    }
    named = [(code, file) for file, code in codes.items() if code is not None]
    if not named:
        return [(None, file) for file in files]
    if len(named) < len(files):
        odd = next(file for file, code in codes.items() if code is None)
        raise UserError(
            f"{odd}: belongs to no split; expected a name that begins with "
            f"{', '.join(_PREFIXES)}, as other files here have"
        )
    return sorted(named, key=lambda entry: (entry[0], entry[1].name))


@contextmanager
def _opened(file: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(file, buffer_size=2**20, pre_buffer=False) as parquet:
            yield parquet
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0][:100]
        raise UserError(
            f"{file}: truncated or damaged, {file.stat().st_size} bytes ({reason}); "
            "expected a whole Parquet file"
        ) from None


def _check_columns(file: Path) -> None:
    with _opened(file) as parquet:
        schema = parquet.schema_arrow
    names = ", ".join(schema.names)
    image = _image_column(schema)
    if image is None:
        raise UserError(f"{file}: columns are {names}; expected img or image, and label")
    kind = schema.field(image).type
    if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        raise UserError(f"{file}: column {image} is {kind}; expected a struct with bytes")
    if "label" not in schema.names:
        raise UserError(f"{file}: columns are {names}; expected label")
    if not pa.types.is_integer(schema.field("label").type):
        raise UserError(f"{file}: column label is {schema.field('label').type}; expected integers")


def _image_column(schema: pa.Schema) -> str | None:
    return next((name for name in _COLUMNS if name in schema.names), None)


def _labels(file: Path) -> Rows:
    with _opened(file) as parquet:
        column = parquet.read(columns=["label"]).column("label").combine_chunks()
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
        raise UserError(f"{file} row {row}: label is null; expected a class number")
    return np.asarray(column.to_numpy(zero_copy_only=False)).astype(np.int64)


def _class_names(file: Path) -> tuple[str, ...] | None:
    """Names from the hub's metadata: ``info.features.label.names`` of a ``ClassLabel``."""
    with _opened(file) as parquet:
        metadata = parquet.schema_arrow.metadata or {}
    try:
        names: Any = parse_json(metadata[b"huggingface"])["info"]["features"]["label"]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    return tuple(map(str, names)) if isinstance(names, list) else None


def _as_classes(
    files: list[Path], labels: list[Rows], names: tuple[str, ...] | None
) -> tuple[tuple[str, ...], Rows]:
    """Class names, and the labels of all files as indices into them."""
    bound = np.iinfo(np.int64).max if names is None else len(names)
    for file, part in zip(files, labels, strict=True):
        wrong = np.flatnonzero((part < 0) | (part >= bound))
        if len(wrong):
            expected = "a class number from 0" if names is None else f"0 to {bound - 1}"
            row = int(wrong[0])
            raise UserError(f"{file} row {row}: label is {part[row]}; expected {expected}")
    every = np.concatenate(labels)
    if names is not None:
        return names, every
    present = class_order({str(label) for label in np.unique(every)})
    return present, np.searchsorted(np.unique(every), every).astype(np.int64)


def _encoded(file: Path, rows: Rows) -> Iterator[tuple[int, bytes]]:
    """Row number and encoded image of each of the rising ``rows``; other row groups stay unread."""
    with _opened(file) as parquet:
        column = _image_column(parquet.schema_arrow)
        counts = [
            parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)
        ]
        starts = np.cumsum([0, *counts])
        for group, (start, stop) in enumerate(pairwise(starts)):
            wanted = rows[(rows >= start) & (rows < stop)]
            if not len(wanted):
                continue
            first = int(start)
            for batch in parquet.iter_batches(
                _BATCH, row_groups=[group], columns=[f"{column}.bytes"], use_threads=False
            ):
                data = batch.column(0).field("bytes")
                last = first + batch.num_rows
                for row in wanted[(wanted >= first) & (wanted < last)].tolist():
                    value = data[row - first]
                    if not value.is_valid:
                        raise UserError(f"{file} row {row}: {column} has no bytes; expected some")
                    yield row, value.as_py()
                first = last
