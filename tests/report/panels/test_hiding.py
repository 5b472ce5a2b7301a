"""A run that a page hides leaves no trace in any panel, and all of its own is hidden with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from geocore.report.panels import chip_panel, equivariance_panel, provenance_panel, twins_panel
from geocore.report.panels.chip import TABLE as LEDGER
from geocore.report.panels.equivariance_errors import TABLE as ERRORS
from geocore.report.snapshot import Snapshot
from tests.report.panels.scenes import (
    error_table,
    ledger,
    page_of,
    row,
    snapshot,
    stage,
    text_without,
)

PANELS = (equivariance_panel, twins_panel, chip_panel, provenance_panel)


def run(name: str, number: int) -> Snapshot:
    gate = {"metric": "x", "value": 1.0, "bound": 10.0**-number, "sense": "max", "passed": False}
    return snapshot(
        name,
        commit=str(number) * 40,
        tables={ERRORS: error_table(10.0**-number), LEDGER: ledger(row(lut=100.0 + number))},
        metrics={"evaluate.test.accuracy": 0.9, "evaluate.ntk.test.accuracy": 0.8 + number / 100},
        gates={"evaluate.quarter_turn_error_max": gate, "evaluate.rotation_error_max": gate},
        params={"resample.nside": 2**number},
        record={"stages": {"train": stage(f"of {name}")}},
    )


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.__name__)
def test_hidden_runs_leave_no_trace(panel: Callable[[Sequence[Snapshot]], Any]) -> None:
    html = panel([run("azure", 1), run("crimson", 2), run("ochre", 3)])
    assert page_of(html).faults == []
    left = text_without(html, 1)
    assert "crimson" in page_of(html).text and "crimson" not in left
    assert "azure" in left and "ochre" in left


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.__name__)
def test_tables_and_drawings_are_told_to_who_does_not_see_them(
    panel: Callable[[Sequence[Snapshot]], Any],
) -> None:
    page = page_of(panel([run("azure", 1), run("crimson", 2)]))
    drawn = [a for tag, a in page.tags if tag == "svg"]
    assert all(a.get("aria-hidden") or (a.get("role") and a.get("aria-label")) for a in drawn)
    assert all(a.get("scope") for tag, a in page.tags if tag == "th")
    count = sum(tag == "table" for tag, _ in page.tags)
    assert count == sum(tag == "caption" for tag, _ in page.tags) > 0
    scrolled = [a for _, a in page.tags if "scroll" in (a.get("class") or "").split()]
    assert all(a.get("tabindex") == "0" and a.get("aria-label") for a in scrolled)
    ids = page.attributes("id")
    assert len(ids) == len(set(ids)) and set(page.attributes("aria-labelledby")) <= set(ids)
