"""What differs between snapshots, row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from geocore.report.directions import Verdict, verdict
from geocore.report.snapshot import Snapshot, finite

__all__ = ["SECTIONS", "Comparison", "Difference", "Missing", "compare"]

SECTIONS = ("params", "metrics", "gates", "code", "data")


class Missing(Enum):
    """Why a snapshot has no value in a row; the value is how it is shown."""

    ABSENT = "absent"
    UNKNOWN = "not recorded"
    INCOMPARABLE = "not comparable"


@dataclass(frozen=True)
class Difference:
    """One row: a value for each snapshot, or a ``Missing``.

    ``deltas`` are the values less the first snapshot's, ``verdicts`` whether that is better or
    worse; both are filled for metrics alone, None and empty where nothing can be said.
    """

    name: str
    values: tuple[Any, ...]
    deltas: tuple[float | None, ...] = ()
    verdicts: tuple[Verdict, ...] = ()

    @property
    def known(self) -> int:
        """How many snapshots can speak of this row."""
        return sum(value is not Missing.UNKNOWN for value in self.values)

    @property
    def fails(self) -> bool:
        """Whether it is of a gate that does not hold in some snapshot."""
        gates = [value for value in self.values if isinstance(value, Mapping)]
        return any(gate.get("passed") is False for gate in gates)

    @property
    def differs(self) -> bool:
        """Whether two snapshots that can speak of this row disagree."""
        known = [value for value in self.values if value is not Missing.UNKNOWN]
        if Missing.INCOMPARABLE in known:
            return True
        return any(not _same(value, known[0]) for value in known[1:])


@dataclass(frozen=True)
class Comparison:
    """The rows of each section that differ, and in ``same`` how many do not.

    ``gates`` also holds those that fail in any snapshot, whether they differ or not.
    """

    names: tuple[str, ...]
    params: tuple[Difference, ...]
    metrics: tuple[Difference, ...]
    gates: tuple[Difference, ...]
    code: tuple[Difference, ...]
    data: tuple[Difference, ...]
    same: Mapping[str, int]

    def section(self, name: str) -> tuple[Difference, ...]:
        """The rows of ``"params"``, ``"metrics"``, ``"gates"``, ``"code"`` or ``"data"``."""
        rows: tuple[Difference, ...] = getattr(self, name)
        return rows

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; a missing value is ``{"missing": "absent"}``."""
        sections = {name: [_row(row) for row in self.section(name)] for name in SECTIONS}
        return {"names": list(self.names), **sections, "same": dict(self.same)}


def compare(snapshots: Sequence[Snapshot], *, everything: bool = False) -> Comparison:
    """What differs between two or more snapshots, the first of them being the baseline.

    A value that a snapshot lacks is absent, and that is a difference; but a run of one stage
    says nothing of other stages, so there it is merely not recorded. Code that any of them
    depends on is looked up in the trees of all. With ``everything`` the
    rows hold what is equal, too. Raises ``ValueError`` for fewer than two snapshots.
    """
    if len(snapshots) < 2:
        raise ValueError(f"snapshots are {len(snapshots)}; expected two or more")
    found: dict[str, tuple[Difference, ...]] = {}
    same: dict[str, int] = {}
    for section in SECTIONS:
        rows = _rows(snapshots, section)
        gates = section == "gates"  # one that fails is shown even if it fails everywhere
        shown = [row for row in rows if row.differs or everything or (gates and row.fails)]
        found[section] = tuple(shown)
        same[section] = sum(row.known > 1 and not row.differs for row in rows)
    return Comparison(names=tuple(s.name for s in snapshots), same=same, **found)


def _rows(snapshots: Sequence[Snapshot], section: str) -> list[Difference]:
    if section in ("code", "data"):
        kinds = [getattr(snapshot, f"{section}_kind") for snapshot in snapshots]
        if len(set(kinds)) > 1:
            told = [Missing.INCOMPARABLE if kind != kinds[0] else kind for kind in kinds]
            return [Difference(f"digests of {section}", tuple(told))]
    names = sorted({name for snapshot in snapshots for name in getattr(snapshot, section)})
    make = _metric if section == "metrics" else Difference
    return [make(name, _values(snapshots, section, name)) for name in names]


def _values(snapshots: Sequence[Snapshot], section: str, name: str) -> tuple[Any, ...]:
    having = {s.scopes.get(section, "") for s in snapshots if name in getattr(s, section)}
    values = []
    for snapshot in snapshots:
        entries: Mapping[str, Any] = getattr(snapshot, section)
        scope = snapshot.scopes.get(section, "")
        speaks = not scope or having == {scope}
        if section == "code":  # each lock lists its own files: the others may lie there, too
            entries = {**(snapshot.other_code or {}), **entries}
            speaks = speaks and snapshot.other_code is not None
        missing = Missing.ABSENT if speaks else Missing.UNKNOWN
        values.append(entries.get(name, missing))
    return tuple(values)


def _metric(name: str, values: tuple[Any, ...]) -> Difference:
    deltas: list[float | None] = []
    verdicts: list[Verdict] = []
    first = values[0]
    for value in values:
        both = _is_number(first) and _is_number(value)
        deltas.append(value - first if both else None)
        verdicts.append(verdict(name, first, value) if both else "")
    return Difference(name, values, tuple(deltas), tuple(verdicts))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(first: Any, second: Any) -> bool:
    """Equal and of one type, but for numbers: true is not 1, 1.0 is 1, and NaN is itself."""
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, float) and isinstance(second, float) and first != first:
        return second != second
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(_same, first, second))
    return bool(first == second)


def _row(row: Difference) -> dict[str, Any]:
    values = [
        {"missing": value.value} if isinstance(value, Missing) else finite(value)
        for value in row.values
    ]
    told: dict[str, Any] = {"name": row.name, "differs": row.differs, "values": values}
    if row.deltas:
        told |= {"deltas": finite(row.deltas), "verdicts": list(row.verdicts)}
    return told
