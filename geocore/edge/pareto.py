"""What a network's accuracy costs: the rows that no other row beats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from geocore.edge.ledger import EVIDENCE, Row

__all__ = ["COSTS", "Point", "front", "points"]

COSTS = ("lut", "ff", "dsp", "bram", "latency", "interval", "microseconds")


@dataclass(frozen=True)
class Point:
    """A row as a picture shows it: its cost, its accuracy, whether no row of its kind beats it."""

    row: Row
    cost: float
    accuracy: float
    best: bool


def front(rows: Sequence[Row], cost: str) -> list[Row]:
    """The rows that no other is as good as in both and better than in one: cheapest first.

    Row ``a`` beats ``b`` where ``accuracy(a) >= accuracy(b)`` and ``cost(a) <= cost(b)``, and one
    of the two is strict; equal rows do not beat each other. ``cost`` is one of ``COSTS``. Rows
    without it, or without an accuracy, are left out. Raises ``ValueError`` for an unknown cost,
    and for rows of different evidence, family or metric: an estimate beats no measurement.
    """
    _require(cost)
    for name in ("evidence", "family", "metric"):
        found = sorted({getattr(row, name) for row in rows})
        if len(found) > 1:
            raise ValueError(f"rows have {name} {' and '.join(found)}; expected rows of one kind")
    known = [(_cost(row, cost), row.accuracy, row) for row in rows]
    placed = sorted(
        ((c, a, row) for c, a, row in known if c is not None and a is not None),
        key=lambda one: (one[0], -one[1]),
    )
    kept: list[Row] = []
    best, dearest = -1.0, -1.0
    for price, accuracy, row in placed:
        # Behind all that is cheaper: it must be more accurate, or the twin of the last one kept.
        if accuracy > best or (accuracy == best and price == dearest):
            best, dearest = accuracy, price
            kept.append(row)
    return kept


def points(rows: Iterable[Row], cost: str) -> list[Point]:
    """Every row that has both numbers, marked where it lies on the front of its own kind.

    The kind is evidence, family and metric; so a picture may hold them all, and each front is of
    figures that one way of knowing gave. In the order of kinds, then of cost.
    """
    _require(cost)
    kinds: dict[tuple[int, str, str], list[Row]] = {}
    for row in rows:
        kinds.setdefault((EVIDENCE.index(row.evidence), row.family, row.metric), []).append(row)
    found = []
    for _, alike in sorted(kinds.items()):
        best = {id(row) for row in front(alike, cost)}
        placed = [
            Point(row, price, row.accuracy, id(row) in best)
            for row in alike
            if (price := _cost(row, cost)) is not None and row.accuracy is not None
        ]
        found += sorted(placed, key=lambda point: (point.cost, point.accuracy))
    return found


def _cost(row: Row, cost: str) -> float | None:
    value: float | None = getattr(row, cost)
    return value


def _require(cost: str) -> None:
    if cost not in COSTS:
        raise ValueError(f"cost is {cost!r}; expected one of {', '.join(COSTS)}")
