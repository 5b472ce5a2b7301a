"""Learning curves as lines on a pair of axes: the geometry; the template writes the SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from geocore.report.axes import Scale, Tick
from geocore.report.directions import better_when
from geocore.report.snapshot import APART, Curve
from geocore.report.words import figure

__all__ = ["FRAME", "HEIGHT", "WIDTH", "Chart", "Dot", "Entry", "Line", "curve_charts"]

WIDTH, HEIGHT = 640, 300
FRAME = (58.0, 14.0, 626.0, 254.0)  # left, top, right, bottom
_TOUCHED = 400  # points of a chart that may tell their value when they are pointed at
_DRAWN = 600  # points of a line, more than a chart has room for
_HUGE = 1e100  # what lies beyond is drawn as a gap
_ALONG = ("epoch", "step", "iteration")


@dataclass(frozen=True)
class Dot:
    """A point of a line and what it tells when it is pointed at."""

    x: float
    y: float
    told: str


@dataclass(frozen=True)
class Line:
    """One line; ``series`` is whose it is, a place among the snapshots, ``member`` of which line.

    ``points`` are its places and values in the units of the file, NaN where there is a gap.

    ``best`` is its best point, if that is the best of all lines of its snapshot.
    """

    series: int
    member: str
    path: str
    told: str
    points: tuple[tuple[float, float], ...]
    dots: tuple[Dot, ...]
    best: Dot | None


@dataclass(frozen=True)
class Entry:
    """What the legend says of a snapshot: how many lines, their best value, where, the last."""

    series: int
    name: str
    lines: int
    best: str
    at: str
    last: str


@dataclass(frozen=True)
class Chart:
    """A column of a curve file, for all snapshots that have it."""

    file: str
    column: str
    along: str
    way: str
    log: bool
    x: tuple[Tick, ...]
    y: tuple[Tick, ...]
    lines: tuple[Line, ...]
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class _Trace:
    """The points of a line, NaN where there is a gap."""

    series: int
    name: str
    member: str
    points: list[tuple[float, float]]

    @property
    def drawn(self) -> list[tuple[float, float]]:
        return [(x, y) for x, y in self.points if math.isfinite(y)]


def curve_charts(named: Sequence[tuple[str, Mapping[str, Curve]]]) -> list[Chart]:
    """A chart for each column of each file that has a better end; ``named`` are name, curves."""
    charts = []
    for file in sorted({file for _, curves in named for file in curves}):
        having = [
            (series, name, curves[file])
            for series, (name, curves) in enumerate(named)
            if file in curves
        ]
        for column in dict.fromkeys(column for _, _, curve in having for column in curve):
            chart = _chart(file, column, having) if better_when(column) else None
            if chart is not None:
                charts.append(chart)
    return charts


def _chart(file: str, column: str, having: Sequence[tuple[int, str, Curve]]) -> Chart | None:
    along = next((key for key in _ALONG if any(key in curve for _, _, curve in having)), "row")
    traces = [
        trace
        for series, name, curve in having
        for trace in _traces(series, name, curve, column, along)
        if trace.drawn
    ]
    if not traces:
        return None
    drawn = [point for trace in traces for point in trace.drawn]
    x = Scale.exact([x for x, _ in drawn], FRAME[0], FRAME[2])
    y = Scale.roomy([y for _, y in drawn], FRAME[3], FRAME[1])
    way = better_when(column)
    touched = len(drawn) <= _TOUCHED
    best = {trace.series: _best(traces, trace.series, way) for trace in traces}
    entries = [_entry(trace, traces, best[trace.series], along) for trace in traces]
    return Chart(
        file=file,
        column=column,
        along=along,
        way=way,
        log=y.log,
        x=x.ticks(),
        y=y.ticks(),
        lines=tuple(
            _line(trace, (x, y), (along, column), best[trace.series], touched=touched)
            for trace in traces
        ),
        entries=tuple({entry.series: entry for entry in entries}.values()),
    )


def _traces(series: int, name: str, curve: Curve, column: str, along: str) -> Iterator[_Trace]:
    """The line of a file, or those of its members."""
    values = curve.get(column, [])
    where = curve.get(along) or [float(row) for row in range(len(values))]
    members = curve.get(APART) or [math.nan] * len(values)
    found: dict[str, _Trace] = {}
    for x, y, member in zip(where, values, members, strict=False):
        if abs(x) < _HUGE:  # and no NaN
            told = f"{APART} {figure(member)}" if math.isfinite(member) else ""
            trace = found.setdefault(told, _Trace(series, name, told, []))
            trace.points.append((x, y if abs(y) < _HUGE else math.nan))
    yield from found.values()


def _best(traces: Sequence[_Trace], series: int, way: str) -> tuple[float, float, str]:
    """The best value of a snapshot's lines, where it stands, and of which member it is."""
    choose = max if way == "higher" else min
    mine = [(y, x, t.member) for t in traces if t.series == series for x, y in t.drawn]
    return choose(mine, key=lambda found: found[0])


def _line(
    trace: _Trace,
    scales: tuple[Scale, Scale],
    words: tuple[str, str],
    best: tuple[float, float, str],
    *,
    touched: bool,
) -> Line:
    (x, y), (along, column) = scales, words
    told = f"{trace.name}, {trace.member}" if trace.member else trace.name
    path, dots, found, joined = [], [], None, False
    points = tuple(_thinned(trace, best))
    for place, value in points:
        if math.isfinite(value):
            at, up = x.at(place), y.at(value)
            path.append(f"{'L' if joined else 'M'}{at} {up}")
            dot = Dot(at, up, f"{told}, {along} {figure(place)}: {column} {figure(value)}")
            dots.append(dot)
            found = dot if (value, place, trace.member) == best else found
        joined = math.isfinite(value)
    return Line(
        series=trace.series,
        member=trace.member,
        path="".join(path),
        told=told,
        points=points,
        dots=tuple(dots) if touched else (),
        best=found,
    )


def _thinned(trace: _Trace, best: tuple[float, float, str]) -> Iterator[tuple[float, float]]:
    """The points evenly, with the last of them and the best."""
    every = math.ceil(len(trace.points) / _DRAWN)
    for number, (x, y) in enumerate(trace.points):
        is_best = (y, x, trace.member) == best
        if number % every == 0 or number == len(trace.points) - 1 or is_best:
            yield x, y


def _entry(
    trace: _Trace, traces: Sequence[_Trace], best: tuple[float, float, str], along: str
) -> Entry:
    mine = [other for other in traces if other.series == trace.series]
    value, place, member = best
    last = sorted(other.drawn[-1][1] for other in mine)
    return Entry(
        series=trace.series,
        name=trace.name,
        lines=len(mine),
        best=figure(value),
        at=f"{along} {figure(place)}" + (f" of {member}" if member else ""),
        last=" to ".join(figure(value) for value in dict.fromkeys((last[0], last[-1]))),
    )
