"""Laws of constructions: each in both dtypes, against the bound that the stage fails by."""

from __future__ import annotations

from geocore.report.panels import equivariance_panel
from geocore.report.panels.laws import law_group
from tests.report.panels.scenes import EVIL, page_of, snapshot

METRICS = {
    "laws.constructions.a.b.double": 2e-15,
    "laws.constructions.a.b.single": 4e-7,
    "laws.constructions.c.double": 1e-16,
    "laws.constructions.c.sampled": 0.01,
    "laws.worst.double": 2e-15,
    "laws.constructions.c.other": 5.0,
}
BOUND = {"laws.error_max": 1e-12}


def test_each_construction_is_a_row_with_its_errors() -> None:
    text = " ".join(page_of(equivariance_panel([snapshot(metrics=METRICS)])).text.split())
    assert "a.b 2e-15 float32 4e-07" in text
    assert "c 1e-16 sampled float64 0.01" in text
    assert "worst" not in text and "other 5" not in text


def test_marks_tell_the_ways_apart_and_the_bound_is_drawn() -> None:
    group = law_group([snapshot("one", metrics=METRICS, params=BOUND)])
    assert group is not None and group.plot is not None
    assert sorted(mark.shape for mark in group.plot.marks) == ["dot", "dot", "ring", "square"]
    (bound,) = [stroke for stroke in group.plot.strokes if stroke.kind == "bound"]
    assert bound.run is None and "at most 1e-12" in bound.told
    two = [snapshot("a", metrics=METRICS, params=BOUND), snapshot("b", metrics=METRICS)]
    group = law_group(two)
    assert group is not None and [run for run, _ in group.gates] == [0]


def test_nothing_and_names_that_are_text() -> None:
    assert (
        law_group([]) is None and law_group([snapshot(metrics={"laws.worst.double": 1.0})]) is None
    )
    evil = snapshot(EVIL, metrics={f"laws.constructions.{EVIL}.double": 1e-9})
    page = page_of(equivariance_panel([evil]))
    assert page.faults == [] and not page.names() & {"script", "img"} and page.handlers() == set()
    assert page.text.count("<script>alert(1)</script>") > 3
