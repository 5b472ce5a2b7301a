"""Rows of a page's tables, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from geocore.report.comparison import Difference, Missing
from geocore.report.headline import PREDICTORS
from geocore.report.words import bound_of, cells, signed

__all__ = ["Cell", "Group", "Row", "gate_row", "grouped", "row_of"]

_FOLDED = 14  # rows of a group from which on it is folded


@dataclass(frozen=True)
class Cell:
    """A value in words and what is said of it; ``verdict`` is ``better``, ``worse`` or empty."""

    text: str
    delta: str = ""
    verdict: str = ""
    missing: bool = False


@dataclass(frozen=True)
class Row:
    """A row of a table: its name, a word about it, a cell for each snapshot.

    ``equal``: it differs in nothing and no gate of it fails, so that it is shown on request
    alone. ``number`` is its place among what the page's programs know, None if it has none.
    """

    name: str
    about: str
    cells: tuple[Cell, ...]
    equal: bool = False
    number: int | None = None

    @property
    def same(self) -> str:
        """The value that all have in common, in words; empty if they do not."""
        texts = {cell.text for cell in self.cells}
        alike = self.equal and len(self.cells) > 1 and len(texts) == 1
        return self.cells[0].text if alike and not self.cells[0].missing else ""


@dataclass(frozen=True)
class Group:
    """Rows whose names begin alike; ``folded`` if they are many."""

    name: str
    rows: tuple[Row, ...]
    folded: bool

    @property
    def equal(self) -> bool:
        """Whether all of its rows are."""
        return all(row.equal for row in self.rows)


def row_of(
    section: str, row: Difference, *, name: str = "", about: str = "", number: int | None = None
) -> Row:
    """A difference in words, under its own name if no other is given."""
    made = []
    for place, (text, value) in enumerate(zip(cells(section, row), row.values, strict=True)):
        delta = row.deltas[place] if row.deltas and place else None
        made.append(
            Cell(
                text,
                delta="" if delta is None else signed(delta).replace("-", "\N{MINUS SIGN}"),
                verdict=row.verdicts[place] if row.verdicts else "",
                missing=isinstance(value, Missing),
            )
        )
    return Row(name or row.name, about, tuple(made), equal=not row.differs, number=number)


def gate_row(row: Difference, number: int | None = None) -> Row:
    """A gate: what it is about, its bound if that is one for all, and who keeps it."""
    gates = [value for value in row.values if isinstance(value, Mapping)]
    bounds = list(dict.fromkeys(bound_of(gate) for gate in gates))
    made = []
    for text, value in zip(cells("gates", row), row.values, strict=True):
        if isinstance(value, Missing):
            made.append(Cell(text, missing=True))
            continue
        own = f", {bound_of(value)}" if len(bounds) > 1 else ""
        made.append(Cell(text + own, verdict="better" if value["passed"] else "worse"))
    about = [str(gates[0].get("metric", "")), *(bounds if len(bounds) == 1 else [])]
    equal = not row.differs and not row.fails
    return Row(row.name, " ".join(filter(None, about)), tuple(made), equal=equal, number=number)


def grouped(rows: Sequence[Row]) -> list[Group]:
    """Rows by the first two words of their names, which they lose; long groups folded.

    What the headline is made of stands first.
    """
    found: dict[str, list[Row]] = {}
    for row in rows:
        group = ".".join(row.name.split(".")[:-1][:2])
        inner = replace(row, name=row.name.removeprefix(f"{group}."))
        found.setdefault(group, []).append(inner)
    order = {predictor.prefix: place for place, predictor in enumerate(PREDICTORS)}
    names = sorted(found, key=lambda name: (order.get(name, len(order)), name))
    return [Group(name, tuple(found[name]), len(found[name]) >= _FOLDED) for name in names]
