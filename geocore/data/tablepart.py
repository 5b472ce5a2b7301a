"""The parts of a table: which columns they may have, and how one is opened and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from geocore.config.foreign_json import parse_json
from geocore.data.tabletype import TableInfo
from geocore.errors import UserError, refused_by_system
from geocore.runs.digest import digest_file

__all__ = [
    "METADATA_KEY",
    "OPTIONAL",
    "Layout",
    "column_layout",
    "listed_parts",
    "open_part",
    "required_columns",
]

METADATA_KEY = b"geocore"
_PART = {"name": str, "rows": int, "bytes": int, "digest": str}
OPTIONAL = ("rotation", "valid", "depth", "view")
Layout = Mapping[str, tuple[np.dtype[Any], int]]


def column_layout(info: TableInfo) -> Layout:
    """Number type and list length (0: a plain column) of each column that the info allows.

    ``OPTIONAL`` columns may be left out, the rest may not. Raises ``ValueError`` for a type
    that leaves the geometry open.
    """
    kind = info.type
    if kind.dtype is None or kind.label_kind is None:
        raise ValueError(f"dtype or label_kind of {kind} is open; expected a complete type")
    layout: dict[str, tuple[np.dtype[Any], int]] = {
        "sample": (np.dtype(np.int64), 0),
        "image": (np.dtype(kind.dtype), int(np.prod(kind.shape))),
        "split": (np.dtype(np.uint8), 0),
        "rotation": (np.dtype(np.float64), 4),
        "valid": (np.dtype(np.uint8), -(-kind.pixels // 8)),
        "depth": (np.dtype(np.float32), kind.pixels),
    }
    if info.views:
        layout["view"] = (np.dtype(np.uint8), 0)
    if kind.label_kind == "class":
        layout["label"] = (np.dtype(np.int64), 0)
    elif kind.label_kind == "mask":
        layout["label"] = (np.dtype(np.uint8), kind.pixels)
    return layout


def required_columns(layout: Layout) -> set[str]:
    """Names of the columns that a part must have."""
    return set(layout) - set(OPTIONAL)


def listed_parts(sealed: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """The parts that ``table.json`` lists; ``UserError`` where that list is not one."""
    parts = sealed.get("parts")
    if not isinstance(parts, list) or not parts:
        raise UserError(f"{where}: no parts are listed; expected at least one")
    for part in parts:
        if not (
            isinstance(part, dict)
            and all(type(part.get(name)) is kind for name, kind in _PART.items())
            and Path(part["name"]).name == part["name"]  # a table lies within its folder
        ):
            found = json.dumps(part)[:80]
            raise UserError(f"{where}: a part is {found}; expected name, rows, bytes and digest")
    return parts


def open_part(
    folder: Path,
    about: Mapping[str, Any],
    info: TableInfo,
    layout: Layout,
    verify: bool,
) -> pa.RecordBatch:
    """Map one part and check it against ``about``, its entry in ``table.json``.

    Size, rows, columns, number types and metadata are compared; the content only with ``verify``.
    """
    path = folder / about["name"]
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise UserError(f"{path}: missing; expected {about['bytes']} bytes") from None
    if size != about["bytes"]:
        state = "truncated, " if size < about["bytes"] else ""
        raise UserError(f"{path}: {state}{size} bytes; expected {about['bytes']}")
    if verify and (found := digest_file(path)) != about["digest"]:
        raise UserError(f"{path}: altered, its digest is {found}; expected {about['digest']}")
    try:
        batch = pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
        batch.validate()
        _ = [(field.name, str(field.type)) for field in batch.schema]  # damaged, they are no UTF-8
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _refusal(path, error) from None
    raw = (batch.schema.metadata or {}).get(METADATA_KEY, b"null")
    if TableInfo.from_json(_loads(raw), str(path)) != info:
        raise UserError(f"{path}: its metadata is not that of table.json; expected the same table")
    _check_columns(path, batch, about["rows"], layout)
    return batch


def _refusal(path: Path, error: Exception) -> UserError:
    # Of memory that could not be mapped Arrow raises an OSError that has the words alone.
    found = error if isinstance(error, MemoryError) else RuntimeError(str(error))
    told = refused_by_system(found, str(path))
    return told or UserError(f"{path}: no whole Arrow file; expected an Arrow IPC part")


def _check_columns(
    path: Path,
    batch: pa.RecordBatch,
    rows: int,
    layout: Layout,
) -> None:
    if batch.num_rows != rows:
        raise UserError(f"{path}: {batch.num_rows} rows; expected {rows}")
    missing = sorted(required_columns(layout) - set(batch.schema.names))
    if missing:
        raise UserError(f"{path}: no column {missing[0]!r}; expected one")
    for field in batch.schema:
        if field.name not in layout:
            expected = ", ".join(layout)
            raise UserError(f"{path}: a column is {field.name!r}; expected only {expected}")
        dtype, width = layout[field.name]
        wanted = pa.from_numpy_dtype(dtype)
        wanted = pa.list_(wanted, width) if width else wanted
        if field.type != wanted:
            raise UserError(f"{path}: column {field.name} is {field.type}; expected {wanted}")
        column = batch.column(field.name)
        if column.null_count or (width and column.flatten().null_count):
            raise UserError(f"{path}: column {field.name} has nulls; expected none")


def _loads(raw: bytes) -> Any:
    try:
        return parse_json(raw)
    except ValueError:
        return None
