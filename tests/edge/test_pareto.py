"""The front of accuracy and cost, against its definition tried on all pairs."""

from __future__ import annotations

import random
from typing import Any

import pytest

from geocore.edge.ledger import Row
from geocore.edge.pareto import COSTS, front, points


def row(
    name: str, lut: float, accuracy: float | None, evidence: str = "post-synthesis", **more: Any
) -> Row:
    estimated = evidence == "estimate"
    return Row(
        network="net", variant=name, weight_bits="6", activation_bits="6", evidence=evidence,
        family="UltraScale+", lut=lut, accuracy=accuracy,
        lut_error=0.1 if estimated else None, tool="" if estimated else "yosys",
        version="" if estimated else "1", **more,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_nobody_beats_the_front_and_it_beats_the_rest(seed: int) -> None:
    """With few different numbers, so that many rows are equal in one or both."""
    draw = random.Random(seed)
    rows = [row(f"{n}", draw.randrange(6), draw.randrange(6) / 5) for n in range(25)]

    def beats(a: Row, b: Row) -> bool:
        assert a.accuracy is not None and b.accuracy is not None
        as_good = a.accuracy >= b.accuracy and a.lut <= b.lut
        return as_good and (a.accuracy > b.accuracy or a.lut < b.lut)

    wanted = {r.variant for r in rows if not any(beats(other, r) for other in rows)}
    found = front(rows, "lut")
    assert {r.variant for r in found} == wanted and len(found) == len(wanted)
    assert [r.lut for r in found] == sorted(r.lut for r in found)


def test_an_estimate_beats_no_measurement() -> None:
    measured = [row("a", 100, 0.8), row("b", 200, 0.9), row("c", 300, 0.85)]
    guess = row("d", 1, 1.0, "estimate")
    with pytest.raises(ValueError, match="rows have evidence estimate and post-synthesis"):
        front([*measured, guess], "lut")
    found = points([*measured, guess], "lut")
    assert [(p.row.variant, p.best) for p in found] == [
        ("d", True), ("a", True), ("b", True), ("c", False),
    ]  # fmt: skip


def test_any_cost_and_only_rows_that_have_it() -> None:
    rows = [
        row("slow", 10, 0.9, latency=1000.0, clock_ns=5.0),
        row("fast", 20, 0.9, latency=100.0, clock_ns=5.0),
        row("unknown", 1, 0.95),
        row("blind", 1, None, latency=1.0, clock_ns=1.0),
    ]
    assert [r.variant for r in front(rows, "microseconds")] == ["fast"]
    assert [r.variant for r in front(rows, "lut")] == ["unknown"]
    assert [p.cost for p in points(rows, "microseconds")] == [0.5, 5.0]
    with pytest.raises(ValueError, match=f"cost is 'watts'; expected one of {', '.join(COSTS)}"):
        front(rows, "watts")
    assert front([], "lut") == [] and points([], "lut") == []
