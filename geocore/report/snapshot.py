"""What is compared: parameters, metrics, gates, code and data of one state of the project."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from geocore.errors import UserError
from geocore.report.directions import better_when

__all__ = ["APART", "Curve", "Kind", "Snapshot", "finite", "md5_of"]

Kind = Literal["workspace", "revision", "experiment", "run"]
Curve = Mapping[str, list[float]]

APART = "member"  # a column that tells several lines of one file apart
_ROWS = 200  # of a curve that the JSON form keeps, the best and last of each line beside them


@dataclass(frozen=True)
class Snapshot:
    """One state of the project; ``name`` is what it was asked for by, ``commit`` what it lies on.

    ``params`` are leaf -> value, ``metrics`` ``evaluate.test.accuracy`` -> number (None where
    there is none), ``gates`` ``evaluate.accuracy_min`` -> what ``gates.json`` says of it,
    ``code`` and ``data`` path -> digest, ``curves`` ``train/curve.csv`` -> column -> values
    (NaN where the file has none), ``pictures`` ``evaluate/pictures/confusion.png`` -> its bytes.
    ``tables`` are small files of results by their place, ``evaluate/equivariance.parquet``, and
    ``record`` is what the ledger knows of the runs behind it (``geocore.report.provenance``).
    ``about`` says in a few words what it is, ``notes`` what was left out and why; ``dirty``:
    its code was not that of the commit; ``stale``: its results are not known to be those of its
    parameters, code and data. ``study`` is the folder of the pipeline that it is of, "" for the
    root's. ``sources`` is what it read and none of its own stages gave, path or name -> digest.

    ``other_code`` is the code in the tree that its own stages do not depend on: those of another
    snapshot may. ``unread`` is the md5 of pictures and tables that it had and whose bytes are not
    here. Both are None where what else there was is not known.

    ``code_kind`` and ``data_kind`` say what the digests are of: equal kinds can be compared.
    ``scopes`` names, for a section (``"params"``, ...) that speaks of one stage alone, that
    stage; a section that is not there speaks of the whole pipeline.
    """

    name: str
    kind: Kind
    commit: str | None = None
    about: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    gates: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)
    pictures: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    tables: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    record: Mapping[str, Any] = field(default_factory=dict, repr=False)
    notes: tuple[str, ...] = ()
    code_kind: str = "files"
    data_kind: str = "dvc"
    scopes: Mapping[str, str] = field(default_factory=dict)
    other_code: Mapping[str, str] | None = field(default_factory=dict, repr=False)
    unread: Mapping[str, str] | None = field(default_factory=dict)
    dirty: bool = False
    stale: bool = False
    sources: Mapping[str, str] = field(default_factory=dict, repr=False)
    study: str = ""

    @property
    def base(self) -> str:
        """The commit in short, with ``+`` if the code was not that of the commit."""
        return f"{self.commit[:12]}{'+' * self.dirty}" if self.commit else "none"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, small enough for a ledger entry: of pictures and tables their md5, no record.

        A curve of more than 200 rows is thinned, each of its lines (a ``member`` of
        an ensemble) evenly: the first and the last row stay, and those of the best values.
        """
        curves = {name: _thinned(curve, _ROWS) for name, curve in self.curves.items()}
        held = {**self.pictures, **self.tables}
        files = {**(self.unread or {}), **{name: md5_of(held[name]) for name in held}}
        return {
            "kind": self.kind,
            "commit": self.commit,
            "dirty": self.dirty,
            "stale": self.stale,
            "about": self.about,
            "params": {leaf: finite(value) for leaf, value in self.params.items()},
            "metrics": {name: finite(value) for name, value in self.metrics.items()},
            "gates": {name: finite(gate) for name, gate in self.gates.items()},
            "code": dict(self.code),
            "other_code": None if self.other_code is None else dict(self.other_code),
            "data": dict(self.data),
            "sources": dict(self.sources),
            "curves": {name: finite(curve) for name, curve in curves.items()},
            "pictures": None if self.unread is None else _with_suffix(files, png=True),
            "tables": _with_suffix(files, png=False),
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, name: str, value: Any) -> Snapshot:
        """The snapshot that ``to_json`` wrote; a ``UserError`` in one line if it is none.

        Its pictures and tables are ``unread``.
        """
        entry = _checked(name, "", value, _is_mapping, "what Snapshot.to_json gives")
        parts: dict[str, Any] = {}
        for key, (fits, expected, default) in _SHAPE.items():
            parts[key] = _checked(name, f".{key}", entry.get(key, default), fits, expected)
        parts["notes"] = tuple(parts["notes"])
        pictures, tables = parts.pop("pictures"), parts.pop("tables")
        parts["unread"] = None if pictures is None else {**pictures, **tables}
        parts["curves"] = {
            file: {
                column: [math.nan if number is None else float(number) for number in numbers]
                for column, numbers in curve.items()
            }
            for file, curve in parts["curves"].items()
        }
        return cls(name=name, **parts)


def finite(value: Any) -> Any:
    """``value`` as JSON holds it: None for NaN and infinities, text for what is no JSON."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    return value if value is None or isinstance(value, str | int) else str(value)


def _thinned(curve: Curve, rows: int) -> Curve:
    """The curve in about ``rows`` rows if it has more, each of its lines thinned evenly.

    Each line (all rows of a ``member``, or all there are) keeps its first and last row, and for
    each column with a better end the row of its best value: by these it is told on a page.
    """
    length = max(map(len, curve.values()), default=0)
    if length <= rows:
        return curve
    lines: dict[str, list[int]] = {}
    for row in range(length):
        lines.setdefault(str(curve[APART][row]) if APART in curve else "", []).append(row)
    share = max(rows // len(lines), 2)
    kept = sorted({row for line in lines.values() for row in _kept(curve, line, share)})
    return {name: [column[row] for row in kept] for name, column in curve.items()}


def _kept(curve: Curve, line: Sequence[int], share: int) -> Iterator[int]:
    if len(line) <= share:
        yield from line
        return
    for place in range(share):
        yield line[round(place * (len(line) - 1) / (share - 1))]
    for name, column in curve.items():
        way = better_when(name)
        there = [row for row in line if math.isfinite(column[row])]
        if way and there:
            yield (max if way == "higher" else min)(there, key=column.__getitem__)


def _with_suffix(files: Mapping[str, str], *, png: bool) -> dict[str, str]:
    return {name: md5 for name, md5 in files.items() if name.endswith(".png") == png}


def md5_of(content: bytes) -> str:
    """The name of these bytes in DVC's cache."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _checked(name: str, key: str, value: Any, fits: Callable[[Any], bool], expected: str) -> Any:
    if not fits(value):
        found = "missing" if value is None else repr(value)[:80]
        raise UserError(f"{name}: snapshot{key} is {found}; expected {expected}")
    return value


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)


def _is_number(value: Any) -> bool:
    """A number or none; of integers those that are a float's too."""
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) <= sys.float_info.max
    return value is None or isinstance(value, float)


def _is_curve(value: Any) -> bool:
    if not _is_mapping(value) or not all(isinstance(column, list) for column in value.values()):
        return False
    equally_long = len({len(column) for column in value.values()}) < 2
    return equally_long and all(_is_number(n) for column in value.values() for n in column)


def _is_gate(value: Any) -> bool:
    return _is_mapping(value) and isinstance(value.get("passed"), bool)


def _each(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: _is_mapping(value) and all(fits(entry) for entry in value.values())


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_digests(value: Any) -> bool:
    return value is None or _each(_is_text)(value)


# Key -> what fits, in words, and what stands for a missing one (None: it must be there).
_SHAPE: dict[str, tuple[Callable[[Any], bool], str, Any]] = {
    "kind": (lambda value: value in get_args(Kind), f"one of {', '.join(get_args(Kind))}", None),
    "commit": (lambda value: value is None or _is_text(value), "a commit or null", None),
    "dirty": (lambda value: isinstance(value, bool), "true or false", False),
    "stale": (lambda value: isinstance(value, bool), "true or false", False),
    "about": (_is_text, "text", ""),
    "params": (_is_mapping, "a mapping", None),
    "metrics": (_each(_is_number), "a mapping to numbers", None),
    "gates": (_each(_is_gate), "a mapping to gates", None),
    "code": (_each(_is_text), "a mapping to digests", None),
    "other_code": (_are_digests, "a mapping to digests or null", None),
    "data": (_each(_is_text), "a mapping to digests", None),
    "sources": (_each(_is_text), "a mapping to digests", {}),
    "curves": (_each(_is_curve), "a mapping to columns of numbers", {}),
    "pictures": (_are_digests, "a mapping to digests or null", None),
    "tables": (_each(_is_text), "a mapping to digests", {}),
    "notes": (lambda v: isinstance(v, list) and all(map(_is_text, v)), "a list of lines", []),
}
