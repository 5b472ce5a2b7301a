"""What stages leave below ``results/``: what pages show of them, from their bytes."""

from __future__ import annotations

import csv
import io
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from geocore.config.foreign_json import parse_json
from geocore.errors import UserError
from geocore.report.snapshot import Curve
from geocore.runs.digest import digest_bytes

__all__ = ["TABLE_LIMIT", "Results", "is_data", "is_result", "is_table"]

TABLE_LIMIT = 8 * 2**20  # bytes of a table that is read: panels show small ones
# What panels read: that one of these is passed over is said, of others nobody would see it.
_SHOWN = ("spheres/maps.arrow", "evaluate/equivariance.parquet", "synthesize/ledger.csv")

_PNG = b"\x89PNG\r\n\x1a\n"
_CURVES = ("curve.csv", "curves.csv")
_TABLES = (".csv", ".parquet", ".arrow")


def is_result(path: str) -> bool:
    """Whether a file below ``results/`` is one that is compared: by its name."""
    name = PurePosixPath(path).name
    shown = name in ("metrics.json", "gates.json", *_CURVES) or name.endswith(".png")
    return shown and path.startswith("results/")


def is_table(path: str) -> bool:
    """Whether a file below ``results/`` is a table that panels of a page may read: by its name."""
    return path.startswith("results/") and path.endswith(_TABLES) and not is_result(path)


def is_data(path: str) -> bool:
    """Whether a file is compared by its digest: not number by number, and no page of these."""
    return not path.endswith(("metrics.json", "gates.json", ".html"))


class Results:
    """Gathers the files of one state of the project, each by its path from the project's root.

    ``owner`` is what an error calls that state.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self.metrics: dict[str, float | None] = {}
        self.gates: dict[str, dict[str, Any]] = {}
        self.curves: dict[str, Curve] = {}
        self.pictures: dict[str, bytes] = {}
        self.tables: dict[str, bytes] = {}
        self.digests: dict[str, str] = {}  # of metrics and curves, as the ledger has them
        self._large: dict[str, int] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """A line on each file that a panel would show and that is too large to be read."""
        return tuple(
            f"{path} is left out: it has {size:,} bytes, and up to {TABLE_LIMIT:,} are read"
            for path, size in sorted(self._large.items())
            if path.removeprefix("results/") in _SHOWN
        )

    def pass_over(self, path: str, size: int) -> None:
        """Note a table of more than 8 MiB, which needs not be read for that."""
        self._large[path] = size

    def add(self, path: str, content: bytes) -> None:
        """Take in one file; ``UserError`` in one line if it does not hold what its name says.

        A table above 8 MiB is passed over: see ``notes``.
        """
        inner = PurePosixPath(path).relative_to("results")
        stage = ".".join(inner.parts[:-1])
        if inner.name in ("metrics.json", *_CURVES):
            self.digests[path] = digest_bytes(content)
        if inner.name == "metrics.json":
            self.metrics.update(_numbers(self._json(path, content), stage))
        elif inner.name == "gates.json":
            for name, gate in self._json(path, content).items():
                if not isinstance(gate, dict) or not isinstance(gate.get("passed"), bool):
                    raise UserError(f"{self._owner}: {path}: {name} is no gate; expected passed")
                self.gates[f"{stage}.{name}"] = gate
        elif inner.name in _CURVES:
            self.curves[str(inner)] = self._curve(path, content)
        elif content.startswith(_PNG):
            self.pictures[str(inner)] = content
        elif is_table(path) and len(content) > TABLE_LIMIT:
            self.pass_over(path, len(content))
        elif is_table(path):
            self.tables[str(inner)] = content

    def _json(self, path: str, content: bytes) -> dict[str, Any]:
        try:
            value = parse_json(content)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise UserError(f"{self._owner}: {path}: no JSON object; expected what a stage writes")
        return value

    def _curve(self, path: str, content: bytes) -> Curve:
        """Column -> numbers, NaN for an empty cell; a column of anything else is left out."""
        try:
            rows = list(csv.DictReader(io.StringIO(content.decode("utf-8"))))
        except (UnicodeDecodeError, csv.Error):
            raise UserError(f"{self._owner}: {path}: no CSV; expected a table of numbers") from None
        columns: dict[str, list[float]] = {}
        for name in rows[0] if rows else ():
            numbers = [_number(row.get(name)) for row in rows]
            if name is not None and None not in numbers:
                columns[name] = [number for number in numbers if number is not None]
        return columns


def _numbers(value: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, float | None]]:
    """The numbers and nulls of nested mappings; NaN and infinities count as null."""
    for key, entry in value.items():
        name = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(entry, Mapping):
            yield from _numbers(entry, name)
        elif entry is None:
            yield name, None
        elif isinstance(entry, int | float) and not isinstance(entry, bool):
            yield name, entry if abs(entry) <= sys.float_info.max else None


def _number(text: Any) -> float | None:
    """The number that a cell holds; NaN for an empty one, None for what is no number."""
    if text is None or text == "":
        return math.nan
    try:
        return float(text)
    except (TypeError, ValueError):
        return None
