"""The panel of twins: each run's network beside its ensemble and its infinitely wide kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geocore.report.directions import better_when, verdict
from geocore.report.headline import MEASURES, PREDICTORS, Predictor, headline
from geocore.report.panels.fragment import Owner, fragment, owners
from geocore.report.panels.plot import Plot, Point, row_plot
from geocore.report.rows import Cell
from geocore.report.snapshot import Snapshot
from geocore.report.words import figure, figures, signed

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["twins_panel"]

_HUGE = 1e300  # beyond it nothing was measured
_MEMBERS = "evaluate.ensemble.test.members"
# What answers as the network does: students for the chip are another panel's.
_TWINS = tuple(p for p in PREDICTORS if p.prefix.startswith("evaluate."))


@dataclass(frozen=True)
class _Twin:
    """One way to predict and its cells, one for each of ``MEASURES``."""

    name: str
    about: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class _Score:
    """A figure to draw: its value, and from where to where members of an ensemble lie."""

    name: str
    about: str
    values: Mapping[str, float | None]
    spans: Mapping[str, tuple[float, float]]


def twins_panel(snapshots: Sequence[Snapshot]) -> Markup:
    """Accuracy, negative log-likelihood and calibration error of all that predict in each run.

    Deltas are against the run's own network. ``''`` where no run has a second way to predict.
    """
    found = [
        (owner, scores)
        for owner, snapshot in zip(owners(snapshots), snapshots, strict=True)
        if len(scores := _scores(snapshot.metrics)) > 1
    ]
    return fragment(
        "twins",
        owners=[owner for owner, _ in found],
        runs=[(owner, _twins(scores)) for owner, scores in found],
        measures=[(words, better_when(name)) for name, words in MEASURES.items()],
        plots=[plot for name in MEASURES if (plot := _plot(name, found)) is not None],
    )


def _scores(metrics: Mapping[str, float | None]) -> list[_Score]:
    """Those of the twins that are there, the mean member behind its ensemble; finite numbers."""
    known = {n: v for n, v in metrics.items() if v is not None and -_HUGE < v < _HUGE}
    found = []
    for measured in headline(known, _TWINS):
        one = measured.predictor
        found.append(_Score(one.name, one.about, measured.values, {}))
        if one.name == "ensemble" and (member := _member(known, one)) is not None:
            found.append(member)
    return found


def _member(metrics: Mapping[str, float], ensemble: Predictor) -> _Score | None:
    values, spans = {}, {}
    for name in MEASURES:
        low, mean, high = (metrics.get(f"{_MEMBERS}.{name}.{s}") for s in ("min", "mean", "max"))
        values[name] = mean
        if low is not None and high is not None:
            spans[name] = (low, high)
    if all(value is None for value in values.values()):
        return None
    count = metrics.get(f"{_MEMBERS}.count")
    several = "its members" if count is None else f"{figure(int(count))} members"
    return _Score("mean member", f"of the {ensemble.name}: {several} alone", values, spans)


def _twins(scores: Sequence[_Score]) -> list[_Twin]:
    texts = {name: figures([one.values.get(name) for one in scores]) for name in MEASURES}
    network = scores[0] if scores[0].name == _TWINS[0].name else None
    twins = []
    for row, one in enumerate(scores):
        cells = []
        for name in MEASURES:
            value = one.values.get(name)
            if value is None:
                cells.append(Cell("not measured", missing=True))
                continue
            base = network.values.get(name) if network is not None and one is not network else None
            span = one.spans.get(name)
            text = texts[name][row]
            if span is not None:
                text += f" ({figure(span[0])} to {figure(span[1])})"
            cells.append(
                Cell(text)
                if base is None
                else Cell(text, signed(value - base).replace("-", "−"), verdict(name, base, value))
            )
        twins.append(_Twin(one.name, one.about, tuple(cells)))
    return twins


def _plot(measure: str, found: Sequence[tuple[Owner, Sequence[_Score]]]) -> Plot | None:
    known = {score.name for _, scores in found for score in scores}
    order = [
        name for p in _TWINS for name in (p.name, "mean member" if p.name == "ensemble" else "")
    ]
    rows = [name for name in order if name in known]
    words = MEASURES[measure]
    points = []
    for owner, scores in found:
        for score in scores:
            value = score.values.get(measure)
            if value is None:
                continue
            low, high = score.spans.get(measure, (None, None))
            told = f"{owner.name}: {score.name}, {words} {figure(value)}"
            points.append(
                Point(owner.index, value, told, row=rows.index(score.name), low=low, high=high)
            )
    way = better_when(measure)
    title = words.capitalize()
    about = (
        f"{title} on the test split by what predicts, {way} is better; the table has the numbers"
    )
    return row_plot(title, about, rows, points, f"{words}, {way} is better")
