"""The typed table: samples in uncompressed Arrow IPC parts, memory-mapped, geometry in metadata.

A table is a folder::

    table.json          the info, and each part's rows, bytes and digest
    part-00000.arrow    one record batch; the schema's metadata holds the info once more

Columns: ``sample`` (int64, the row of the source), ``image`` (fixed-size list, the sample's image
flattened), ``label`` (int64; of masks one uint8 a pixel, ``IGNORED`` where there is no class) and
``split`` (uint8: train 0, val 1, test 2). A table may have

- ``rotation`` (4 float64, a unit quaternion w, x, y, z): takes the camera's frame to the sphere's;
  as the source gives it, the camera's pose: to the frame of the source's upright camera;
- ``valid`` (one bit a pixel, little-endian): the pixel sees something, it lies in the image and
  the lens's field. A pixel that is not valid enters no loss and no score;
- ``depth`` (float32 a pixel): metres along the ray, 0 where there is none;
- ``view`` (uint8, an index into the info's ``views``): which of several ways the sample is seen.

There is no empty table.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from geocore.config.foreign_json import parse_json
from geocore.data.tablepart import (
    METADATA_KEY,
    OPTIONAL,
    column_layout,
    listed_parts,
    open_part,
    required_columns,
)
from geocore.data.tabletype import TableInfo, TableType
from geocore.errors import UserError
from geocore.runs.atomic import write_json
from geocore.runs.digest import digest_file

if TYPE_CHECKING:  # torch takes seconds to import, and writers and checkers have no use for it
    import torch

__all__ = ["IGNORED", "SPLITS", "Columns", "Table", "TableWriter", "rows_per_part"]

SPLITS = ("train", "val", "test")
IGNORED = 255  # label of a mask's pixel that enters no loss and no score
_PART_BYTES = 32 * 2**20
_DENSE_BYTES = 1 + 4  # of a pixel's label and depth
_FINITE_BYTES = 4 * 2**20

Columns = Mapping[str, npt.NDArray[Any]]
Rows = npt.NDArray[np.int64] | slice


def rows_per_part(kind: TableType) -> int:
    """Rows that fill about 32 MiB: the unit that is written, journalled and resumed.

    Images are counted, and with masks a label and a depth for each pixel.
    """
    item = 4 if kind.dtype == "float32" else 1
    size = item * int(np.prod(kind.shape))
    if kind.label_kind == "mask":
        size += _DENSE_BYTES * kind.pixels
    return max(1, _PART_BYTES // size)


class TableWriter:
    """Writes the parts of a table, and seals the folder with ``table.json`` at the end.

    Rows go out part by part, so memory stays flat whatever the number of samples. Raises
    ``ValueError`` for an info whose geometry is open.
    """

    def __init__(self, info: TableInfo) -> None:
        self.info = info
        self._layout = column_layout(info)

    def write_part(self, path: Path, columns: Columns) -> None:
        """One part from arrays whose first axis is the row. ``valid`` is a boolean array.

        ``image`` has shape ``(rows, *type.shape)`` or that flattened. Equal columns give equal
        bytes. Raises ``TypeError`` and ``ValueError`` for columns that are not as the info says.
        """
        rows = self._check(columns)
        arrays: dict[str, pa.Array] = {}
        for name, value in columns.items():
            _, width = self._layout[name]
            packed = value
            if name == "valid":
                packed = np.packbits(value.reshape(rows, -1), axis=1, bitorder="little")
            flat = pa.array(np.ascontiguousarray(packed).reshape(-1))
            arrays[name] = pa.FixedSizeListArray.from_arrays(flat, width) if width else flat
        about = json.dumps(self.info.to_json(), sort_keys=True, allow_nan=False)
        metadata = {METADATA_KEY: about.encode()}
        batch = pa.record_batch(arrays).replace_schema_metadata(metadata)
        if batch.num_rows != rows:
            raise ValueError(f"the part has {batch.num_rows} rows; expected {rows}")
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
            writer.write_batch(batch)

    def seal(
        self, folder: Path, parts: Sequence[str] | None = None, path: Path | None = None
    ) -> None:
        """Write ``table.json`` over the parts in ``folder``; without it a folder is no table.

        ``parts`` names them in order (all ``part-*.arrow``, sorted, by default); ``path`` is
        where the JSON goes if not into ``folder``. Raises ``ValueError`` if there are none.
        """
        names = sorted(p.name for p in folder.glob("part-*.arrow")) if parts is None else parts
        if not names:
            raise ValueError(f"{folder} holds no parts; expected at least one part-*.arrow")
        sealed = []
        for name in names:
            with pa.memory_map(str(folder / name)) as source:
                rows = pa.ipc.open_file(source).get_batch(0).num_rows
            size = (folder / name).stat().st_size
            digest = digest_file(folder / name)
            sealed.append({"name": name, "rows": rows, "bytes": size, "digest": digest})
        write_json(path or folder / "table.json", {**self.info.to_json(), "parts": sealed})

    def _check(self, columns: Columns) -> int:
        required = required_columns(self._layout)
        if not required <= set(columns) <= set(self._layout):
            raise ValueError(
                f"columns are {', '.join(columns)}; expected {', '.join(sorted(required))} "
                f"and perhaps {', '.join(name for name in OPTIONAL if name in self._layout)}"
            )
        rows = len(columns["sample"])
        if rows == 0:
            raise ValueError("the part has no rows; expected at least one")
        for name, value in columns.items():
            dtype, width = self._layout[name]
            if name == "valid":
                dtype, width = np.dtype(bool), self.info.type.pixels
            if value.dtype != dtype:
                raise TypeError(f"column {name} is {value.dtype}; expected {dtype}")
            if value.ndim < 1 or len(value) != rows or value.size != rows * (width or 1):
                shape = (rows, width) if width else (rows,)
                raise ValueError(f"column {name} has shape {value.shape}; expected {shape}")
        _require_codes("split", columns["split"], len(SPLITS))
        if "label" in columns and self.info.classes:
            label = columns["label"]
            if self.info.type.label_kind == "mask":
                label = label[label != IGNORED]
            _require_codes("label", label, len(self.info.classes))
        if "view" in columns:
            _require_codes("view", columns["view"], len(self.info.views))
        if "depth" in columns and not _is_depth(columns["depth"]):
            raise ValueError("a depth is negative or no finite number; expected metres, or 0")
        return rows


class Table:
    """A table opened for reading: metadata checked, images mapped and never copied as a whole."""

    def __init__(self, folder: Path, info: TableInfo, parts: Sequence[pa.RecordBatch]) -> None:
        self.folder = folder
        self.info = info
        self._parts = tuple(parts)
        self._starts = np.cumsum([0, *(part.num_rows for part in parts)])

    @classmethod
    def open(cls, folder: Path, wanted: TableType | None = None, *, verify: bool = False) -> Table:
        """Open ``folder``, whose type must meet ``wanted``; ``verify`` compares part digests.

        A missing, truncated or altered part, and a geometry other than wanted, raise ``UserError``
        in one line.
        """
        where = f"{folder}/table.json"
        try:
            sealed = parse_json((folder / "table.json").read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            raise UserError(f"{folder}: no table.json there; expected a finished table") from None
        except ValueError:
            raise UserError(f"{where}: not JSON; expected a table's metadata") from None
        info = TableInfo.from_json(sealed, where)
        if wanted is not None and (faults := info.type.mismatches(wanted)):
            raise UserError(*(f"{folder}: {fault}" for fault in faults))
        try:
            layout = column_layout(info)
        except ValueError as error:
            raise UserError(f"{where}: {error}") from None
        parts = [
            open_part(folder, part, info, layout, verify) for part in listed_parts(sealed, where)
        ]
        if any(part.schema != parts[0].schema for part in parts):
            raise UserError(f"{folder}: its parts have different columns; expected the same")
        return cls(folder, info, parts)

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that this table has."""
        return tuple(self._parts[0].schema.names)

    def column(self, name: str) -> npt.NDArray[Any]:
        """A whole small column (no pixels), shape ``(rows, ...)``, in new memory."""
        self._require(name)
        return np.concatenate([_view(part, name) for part in self._parts])

    def rows_of(self, split: str) -> npt.NDArray[np.int64]:
        """Row numbers of a split, rising."""
        if split not in SPLITS:
            raise ValueError(f"split is {split!r}; expected one of {', '.join(SPLITS)}")
        return np.flatnonzero(self.column("split") == SPLITS.index(split)).astype(np.int64)

    def images(self, rows: Rows | None = None) -> torch.Tensor:
        """Images of the given rows, ``(rows, *type.shape)`` in the table's own number type.

        A slice inside one part is a view of the mapped file (read-only: writing to it faults);
        anything else is gathered into new memory.
        """
        return self._take("image", rows).reshape(-1, *self.info.type.shape)

    def labels(self, rows: Rows | None = None) -> torch.Tensor:
        """Labels of the given rows: ``(rows,)`` int64 classes or ``(rows, pixels)`` uint8 masks."""
        return self._take("label", rows)

    def depths(self, rows: Rows | None = None) -> torch.Tensor:
        """Depths of the given rows, ``(rows, pixels)`` float32 metres; 0 where there is none."""
        return self._take("depth", rows)

    def valid(self, rows: Rows | None = None) -> torch.Tensor:
        """Validity of the given rows, ``(rows, pixels)`` bool; all true if the table says none."""
        import torch

        if "valid" not in self.columns:
            count = len(self._take("split", rows))
            return torch.ones(count, self.info.type.pixels, dtype=torch.bool)
        bits = self._take("valid", rows).numpy()
        count = self.info.type.pixels
        return torch.from_numpy(
            np.unpackbits(bits, axis=1, count=count, bitorder="little").view(bool)
        )

    def batches(self, size: int) -> Iterator[slice]:
        """Slices of at most ``size`` rows that never cross a part, so that each is a view."""
        if size < 1:
            raise ValueError(f"size is {size}; expected at least 1")
        for start, stop in zip(self._starts[:-1], self._starts[1:], strict=True):
            for first in range(int(start), int(stop), size):
                yield slice(first, min(first + size, int(stop)))

    def require_finite(self, name: str = "image") -> None:
        """Raise ``UserError`` naming the sample of the first NaN or infinity in a column.

        Reads the column once, a few MiB at a time; a column of integers is finite by its type.
        """
        self._require(name)
        for part in self._parts:
            values = _view(part, name)
            if values.dtype.kind != "f":
                return
            flat = values.reshape(len(values), -1)
            step = max(1, _FINITE_BYTES // (flat.itemsize * flat.shape[1]))
            for first in range(0, len(flat), step):
                finite = np.isfinite(flat[first : first + step])
                if not finite.all():
                    row, place = (int(axis[0]) for axis in np.nonzero(~finite))
                    sample = _view(part, "sample")[first + row]
                    raise UserError(
                        f"{self.folder}: {name} of sample {sample} is {flat[first + row, place]} "
                        f"at {self._place(name, place)}; expected finite numbers"
                    )

    def _place(self, name: str, place: int) -> str:
        if name != "image":
            return f"entry {place}"
        names = ("row", "column", "channel") if len(self.info.type.shape) == 3 else (
            "pixel", "channel")  # fmt: skip
        found = np.unravel_index(place, self.info.type.shape)
        return ", ".join(f"{axis} {int(at)}" for axis, at in zip(names, found, strict=True))

    def _require(self, name: str) -> None:
        if name not in self.columns:
            raise UserError(f"{self.folder}: no column {name!r}; found {', '.join(self.columns)}")

    def _take(self, name: str, rows: Rows | None) -> torch.Tensor:
        import torch

        self._require(name)
        if rows is None:
            rows = slice(0, len(self))
        if isinstance(rows, slice):
            first, last, step = rows.indices(len(self))
            part = int(np.searchsorted(self._starts, first, side="right")) - 1
            if step == 1 and first < last <= self._starts[part + 1]:
                start = int(self._starts[part])
                return _borrow(_view(self._parts[part], name)[first - start : last - start])
            rows = np.arange(first, last, step)
        rows = np.asarray(rows)
        if rows.ndim != 1 or rows.dtype.kind not in "iu":
            raise TypeError(
                f"rows are {rows.dtype} of shape {rows.shape}; expected row numbers or a slice"
            )
        if len(rows) and (rows.min() < 0 or rows.max() >= len(self)):
            raise ValueError(
                f"rows run from {rows.min()} to {rows.max()}; expected 0 to {len(self) - 1}"
            )
        like = _view(self._parts[0], name)
        out = np.empty((len(rows), *like.shape[1:]), like.dtype)
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        for part in np.unique(owner):
            view, local = _view(self._parts[part], name), rows - self._starts[part]
            chosen = owner == part
            if chosen.all():
                np.take(view, local, axis=0, out=out, mode="clip")  # any other mode buffers out
            else:
                out[chosen] = view[local[chosen]]
        return torch.from_numpy(out)


def _require_codes(name: str, values: npt.NDArray[Any], count: int) -> None:
    for value in (values.min(), values.max()) if values.size else ():
        if not 0 <= value < count:
            raise ValueError(f"a {name} is {value}; expected 0 to {count - 1}")


def _is_depth(values: npt.NDArray[Any]) -> bool:
    """Neither negative, nor infinite, nor NaN (which no comparison holds for)."""
    return bool(values.min() >= 0 and values.max() < np.inf)


def _view(part: pa.RecordBatch, name: str) -> npt.NDArray[Any]:
    array = part.column(name)
    if not pa.types.is_fixed_size_list(array.type):
        return np.asarray(array.to_numpy(zero_copy_only=True))
    flat = array.flatten().to_numpy(zero_copy_only=True)
    return np.asarray(flat).reshape(part.num_rows, array.type.list_size)


def _borrow(view: npt.NDArray[Any]) -> torch.Tensor:
    import torch

    _warn_once()
    return torch.from_numpy(view)


@cache
def _warn_once() -> None:
    """Have torch give its warning now, unseen: mapped memory is read-only, its tensors are not."""
    import torch

    fixed = np.zeros(1)
    fixed.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.from_numpy(fixed)
