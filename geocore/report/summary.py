"""The page of one pipeline's results: who predicts how well, gates, curves, pictures, numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from geocore.report.comparison import Difference
from geocore.report.curve_chart import curve_charts
from geocore.report.directions import better_when
from geocore.report.headline import MEASURES, headline
from geocore.report.pictures import gallery
from geocore.report.pixel_scores import PIXEL_MEASURES, pixel_scores
from geocore.report.rendering import render
from geocore.report.rows import gate_row, grouped, row_of
from geocore.report.snapshot import Snapshot
from geocore.report.words import figures

__all__ = ["Sheet", "summary_page"]


@dataclass(frozen=True)
class Sheet:
    """A table of a stage's own, shown as it is: the file's name, its head, its rows."""

    name: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Score:
    """One number of the headline: in words, as a part of the column's largest, the best or not."""

    text: str
    part: float
    best: bool


def summary_page(results: Snapshot, title: str, sheets: Sequence[Sheet] = ()) -> str:
    """The page, the text of a self-contained HTML file; equal for equal results.

    Raises ``UserError`` if Jinja2 is not installed.
    """
    pictures, left_out = gallery([results])
    metrics = [Difference(name, (value,)) for name, value in sorted(results.metrics.items())]
    gates = [Difference(name, (gate,)) for name, gate in sorted(results.gates.items())]
    return render(
        "summary.html.jinja",
        title=title,
        measures=MEASURES.values(),
        ways=[better_when(measure) for measure in MEASURES],
        scores=_scores(results.metrics),
        **_of_pixels(results.metrics),
        gates=[gate_row(gate) for gate in gates],
        failing=sum(not gate["passed"] for gate in results.gates.values()),
        charts=curve_charts([(results.name, results.curves)]),
        figures=pictures,
        left_out=left_out,
        sheets=sheets,
        metrics=grouped([row_of("metrics", row) for row in metrics]),
    )


def _scores(metrics: Mapping[str, float | None]) -> list[tuple[str, str, list[Score]]]:
    """Name, a word about it, and a score for each measure, of all that predict."""
    measured = headline(metrics)
    columns = []
    for measure in MEASURES:
        values = [entry.values[measure] for entry in measured]
        columns.append(_column(values, better_when(measure)))
    return [
        (entry.predictor.name, entry.predictor.about, [column[place] for column in columns])
        for place, entry in enumerate(measured)
    ]


def _of_pixels(metrics: Mapping[str, float | None]) -> dict[str, Any]:
    """What the page says of a network that answers pixel by pixel: a row a view and grid."""
    found = pixel_scores(metrics)
    there = [name for name in PIXEL_MEASURES if any(name in row.values for row in found)]
    columns = [
        # No view is the best of all: they are of different pixels.
        [replace(score, best=False) for score in _column(values, better_when(measure))]
        for measure in there
        for values in [[row.values.get(measure) for row in found]]
    ]
    return {
        "pixel_measures": [PIXEL_MEASURES[name] for name in there],
        "pixel_ways": [better_when(name) for name in there],
        "pixel_scores": [
            (row.view, row.grid, [column[place] for column in columns])
            for place, row in enumerate(found)
        ],
    }


def _column(values: Sequence[float | None], way: str) -> list[Score]:
    there = [value for value in values if value is not None]
    best = (max if way == "higher" else min)(there, default=math.nan)
    largest = max((abs(value) for value in there), default=0.0) or 1.0
    largest = 1.0 if way == "higher" else largest  # shares are shown as parts of all
    return [
        Score("", 0.0, False)
        if value is None
        else Score(text, min(abs(value) / largest, 1.0), value == best and len(there) > 1)
        for value, text in zip(values, figures(values), strict=True)
    ]
