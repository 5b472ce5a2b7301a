"""The page that a comparison is shown on: one file of HTML that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from geocore.report.comparison import SECTIONS, Comparison
from geocore.report.curve_chart import curve_charts
from geocore.report.headline import MEASURES, PREDICTORS
from geocore.report.pictures import gallery
from geocore.report.rendering import render
from geocore.report.rows import Row, gate_row, grouped, row_of
from geocore.report.snapshot import Snapshot
from geocore.report.words import counted

__all__ = ["comparison_page"]


def comparison_page(comparison: Comparison, snapshots: Sequence[Snapshot]) -> str:
    """The page of a comparison, the text of a self-contained HTML file; equal for equal input.

    ``snapshots`` are those compared. Names, parameters and messages stay text wherever they
    come from. Raises ``UserError`` if Jinja2 is not installed.
    """
    figures, left_out = gallery(snapshots)
    return render(
        "comparison.html.jinja",
        title=_title(comparison.names),
        snapshots=snapshots,
        names=comparison.names,
        counts=[_counted(comparison, section) for section in SECTIONS],
        equal=[counted(section, comparison.same[section]) for section in SECTIONS],
        cards=_cards(comparison),
        gates=[gate_row(row) for row in comparison.gates],
        params=[row_of("params", row) for row in comparison.params],
        metrics=grouped([row_of("metrics", row) for row in comparison.metrics]),
        code=[row_of("code", row) for row in comparison.code],
        data=[row_of("data", row) for row in comparison.data],
        charts=curve_charts([(s.name, s.curves) for s in snapshots]),
        figures=figures,
        left_out=left_out,
    )


def _title(names: Sequence[str]) -> str:
    *others, last = names
    return " against ".join(names) if len(names) == 2 else f"{', '.join(others)} and {last}"


def _counted(comparison: Comparison, section: str) -> dict[str, Any]:
    count = sum(row.differs for row in comparison.section(section))
    return {"section": section, "count": count, "words": counted(section, count)}


def _cards(comparison: Comparison) -> list[Row]:
    """The metrics of the headline that differ."""
    rows = {row.name: row for row in comparison.metrics if row.differs}
    return [
        row_of("metrics", rows[name], name=words, about=predictor.name)
        for predictor in PREDICTORS
        for measure, words in MEASURES.items()
        if (name := f"{predictor.prefix}.{measure}") in rows
    ]
