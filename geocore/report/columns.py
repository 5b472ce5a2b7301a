"""What is known of runs as columns: parameters, gates and metrics, for a page's programs.

A column is one row of the comparison, seen from a run: it may be a column of the table of runs,
an axis of the parallel coordinates, or a line of what is exported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from geocore.report.comparison import Comparison, Difference, Missing
from geocore.report.directions import better_when
from geocore.report.headline import MEASURES, PREDICTORS
from geocore.report.snapshot import finite
from geocore.report.words import cells

__all__ = ["Column", "columns_of", "in_order"]

_SECTIONS = ("params", "gates", "metrics")
_FEW = 6  # parameters that stand before the metrics
_SHOWN = 12  # metrics of the table of runs where the headline has none


@dataclass(frozen=True)
class Column:
    """One row of the comparison: ``values`` as JSON, ``texts`` as the page says them.

    ``key`` is its name, or ``metrics.NAME`` where a parameter has that name: no two are equal.
    ``label`` and ``about`` are its name in few words, ``way`` the better end of a metric.
    ``main``: it has a place in the table of runs. ``gates`` are of a gate the sense, the bound and
    whether it holds, a run each. A missing value is None.
    """

    section: str
    key: str
    name: str
    label: str
    about: str
    way: str
    equal: bool
    main: bool
    values: tuple[Any, ...]
    texts: tuple[str, ...]
    gates: tuple[dict[str, Any] | None, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, as the page's programs read it."""
        return {
            "section": self.section,
            "key": self.key,
            "name": self.name,
            "label": self.label,
            "about": self.about,
            "way": self.way,
            "equal": self.equal,
            "main": self.main,
            "values": list(self.values),
            "texts": list(self.texts),
            **({"gates": list(self.gates)} if self.gates else {}),
        }


def columns_of(comparison: Comparison) -> list[Column]:
    """All parameters, then gates, then metrics, in the comparison's order."""
    headline = {
        f"{predictor.prefix}.{measure}": (words, predictor.name)
        for predictor in PREDICTORS
        for measure, words in MEASURES.items()
    }
    named = [row.name for row in comparison.metrics if row.name in headline]
    judged = [row for row in comparison.metrics if row.differs and better_when(row.name)]
    main = set(named or [row.name for row in sorted(judged, key=_weight)[:_SHOWN]])
    found: list[Column] = []
    taken: set[str] = set()
    for section in _SECTIONS:
        for row in comparison.section(section):
            label, about = headline.get(row.name, (row.name, "")) if section == "metrics" else (
                row.name, ""
            )  # fmt: skip
            key = f"{section}.{row.name}" if row.name in taken else row.name
            taken.add(key)
            found.append(
                Column(
                    section=section,
                    key=key,
                    name=row.name,
                    label=label,
                    about=about,
                    way=better_when(row.name) if section == "metrics" else "",
                    equal=not row.differs and not row.fails,
                    main=section == "params" or (section == "metrics" and row.name in main),
                    values=_values(row),
                    texts=tuple(cells(section, row)),
                    gates=tuple(map(_gate, row.values)) if section == "gates" else (),
                )
            )
    return found


def in_order(columns: Sequence[Column]) -> list[int]:
    """The places of the main columns: parameters, and metrics as the headline has them.

    Parameters come first where six at most differ; behind more of them no figure would be seen.
    """
    order = [predictor.name for predictor in PREDICTORS]
    main = [place for place, column in enumerate(columns) if column.main]
    few = sum(columns[place].section == "params" and not columns[place].equal for place in main)
    last = "metrics" if few <= _FEW else "params"
    return sorted(
        main,
        key=lambda place: (
            columns[place].section == last,
            order.index(columns[place].about) if columns[place].about in order else len(order),
        ),
    )


def _weight(row: Difference) -> tuple[Any, ...]:
    """Less for what says more: known of many runs, named a headline, of the test split, short."""
    parts = row.name.split(".")
    missing = sum(isinstance(value, Missing) or value is None for value in row.values)
    return missing, "headline" not in parts, "test" not in parts, len(parts), row.name


def _gate(value: Any) -> dict[str, Any] | None:
    """What a gate asks, as JSON; None for what is missing."""
    if not isinstance(value, Mapping):
        return None
    told: dict[str, Any] = finite({key: value.get(key) for key in ("sense", "bound", "passed")})
    return told


def _values(row: Difference) -> tuple[Any, ...]:
    """As JSON: of a gate what was measured; None for what is missing."""
    plain = [None if isinstance(value, Missing) else value for value in row.values]
    return tuple(finite(v.get("value") if isinstance(v, Mapping) else v) for v in plain)
