"""What is compared: parameters, metrics, gates, code and data of one state of the project."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from geocore.errors import UserError

__all__ = ["Curve", "Kind", "Snapshot", "finite"]

Kind = Literal["workspace", "revision", "experiment", "run"]
Curve = Mapping[str, list[float]]

_ROWS = 200  # of a curve that the JSON form keeps: as many as a chart can show


@dataclass(frozen=True)
class Snapshot:
    """One state of the project; ``name`` is what it was asked for by, ``commit`` what it lies on.

    ``params`` are leaf -> value, ``metrics`` ``evaluate.test.accuracy`` -> number (None where
    there is none), ``gates`` ``evaluate.accuracy_min`` -> what ``gates.json`` says of it,
    ``code`` and ``data`` path -> digest, ``curves`` ``train/curve.csv`` -> column -> values
    (NaN where the file has none), ``pictures`` ``evaluate/pictures/confusion.png`` -> its bytes.
    ``about`` says in a few words what it is, ``notes`` what was left out and why.

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
    notes: tuple[str, ...] = ()
    code_kind: str = "files"
    data_kind: str = "dvc"
    scopes: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON without the pictures, small enough for a ledger entry.

        A curve of more than 200 rows is thinned evenly, its first and last row kept.
        """
        curves = {name: _thinned(curve) for name, curve in self.curves.items()}
        return {
            "kind": self.kind,
            "commit": self.commit,
            "about": self.about,
            "params": {leaf: finite(value) for leaf, value in self.params.items()},
            "metrics": {name: finite(value) for name, value in self.metrics.items()},
            "gates": {name: finite(gate) for name, gate in self.gates.items()},
            "code": dict(self.code),
            "data": dict(self.data),
            "curves": {name: finite(curve) for name, curve in curves.items()},
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, name: str, value: Any) -> Snapshot:
        """The snapshot that ``to_json`` wrote; a ``UserError`` in one line if it is none."""
        entry = _checked(name, "", value, _is_mapping, "what Snapshot.to_json gives")
        parts: dict[str, Any] = {}
        for key, (fits, expected, default) in _SHAPE.items():
            parts[key] = _checked(name, f".{key}", entry.get(key, default), fits, expected)
        parts["notes"] = tuple(parts["notes"])
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


def _thinned(curve: Curve) -> Curve:
    rows = max(map(len, curve.values()), default=0)
    if rows <= _ROWS:
        return curve
    kept = [round(place * (rows - 1) / (_ROWS - 1)) for place in range(_ROWS)]
    return {name: [column[row] for row in kept] for name, column in curve.items()}


def _checked(name: str, key: str, value: Any, fits: Callable[[Any], bool], expected: str) -> Any:
    if not fits(value):
        found = "missing" if value is None else repr(value)[:80]
        raise UserError(f"{name}: snapshot{key} is {found}; expected {expected}")
    return value


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


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


# Key -> what fits, in words, and what stands for a missing one (None: it must be there).
_SHAPE: dict[str, tuple[Callable[[Any], bool], str, Any]] = {
    "kind": (lambda value: value in get_args(Kind), f"one of {', '.join(get_args(Kind))}", None),
    "commit": (lambda value: value is None or _is_text(value), "a commit or null", None),
    "about": (_is_text, "text", ""),
    "params": (_is_mapping, "a mapping", None),
    "metrics": (_each(_is_number), "a mapping to numbers", None),
    "gates": (_each(_is_gate), "a mapping to gates", None),
    "code": (_each(_is_text), "a mapping to digests", None),
    "data": (_each(_is_text), "a mapping to digests", None),
    "curves": (_each(_is_curve), "a mapping to columns of numbers", {}),
    "notes": (lambda v: isinstance(v, list) and all(map(_is_text, v)), "a list of lines", []),
}
