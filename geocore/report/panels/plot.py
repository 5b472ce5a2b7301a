"""Small charts of a panel: where everything stands; ``templates/panels/plot.html.jinja`` draws it.

In lengths of the SVG's own box, y downwards. Each line and mark knows whose it is, so that a page
can hide a run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from geocore.report.axes import Scale, Tick
from geocore.report.words import figures

__all__ = [
    "SHAPES",
    "Bound",
    "Mark",
    "Plot",
    "Point",
    "Stroke",
    "field_plot",
    "is_drawn",
    "row_plot",
]

SHAPES = ("ring", "dot", "square", "cross")
_WIDTH = 640.0
_TOP, _RIGHT, _FOOT = 12.0, 620.0, 46.0
_NAMES, _SCALE = 190.0, 86.0  # left of the frame: names of rows, numbers
_ROW, _HEIGHT = 24.0, 250.0
_LONGEST = 22  # letters of a row's name
_LEAST, _HUGE = 1e-100, 1e100  # beyond them a value counts as 0, or is no point
_LETTER, _LABEL = 7.0, 13.0  # of a label: lengths a letter, height
_SIZE, _LARGER, _LAYERS = 4.5, 2.5, 4  # of marks: half their width, more for each one below
_ASIDE = ((8.0, -7.0), (8.0, 16.0))  # from a mark to where its label begins


@dataclass(frozen=True)
class Point:
    """A value of a run, before it has a place; ``low`` to ``high`` is drawn as a whisker.

    ``row`` is a place among the rows for ``row_plot``, ``y`` a number for ``field_plot``. Points
    of one ``joined`` word (not empty) and one run are joined, ``stairs`` by level and rise.
    """

    run: int
    x: float
    told: str
    row: int = 0
    y: float = 0.0
    shape: str = "dot"
    low: float | None = None
    high: float | None = None
    joined: str = ""
    label: str = ""


@dataclass(frozen=True)
class Bound:
    """A line across at ``value``; of ``run``, or of all that are shown."""

    value: float
    told: str
    run: int | None = None


@dataclass(frozen=True)
class Mark:
    """A point where it stands; ``size`` is half its width."""

    run: int
    x: float
    y: float
    shape: str
    told: str
    label: str = ""
    label_x: float = 0.0
    label_y: float = 0.0
    size: float = _SIZE


@dataclass(frozen=True)
class Stroke:
    """A line: ``kind`` is ``line``, ``whisker`` or ``bound``; ``run`` None: of no single one."""

    run: int | None
    path: str
    kind: str
    told: str


@dataclass(frozen=True)
class Plot:
    """A chart: its words, its box, its axes and what is drawn. ``rows`` are names on the left."""

    title: str
    about: str
    across: str
    upwards: str
    width: float
    height: float
    frame: tuple[float, float, float, float]  # left, top, right, bottom
    x: tuple[Tick, ...]
    y: tuple[Tick, ...]
    rows: tuple[tuple[float, str, str], ...]  # where, shortened, whole
    strokes: tuple[Stroke, ...]
    marks: tuple[Mark, ...]


def row_plot(
    title: str,
    about: str,
    rows: Sequence[str],
    points: Sequence[Point],
    across: str,
    *,
    log: bool = False,
    bounds: Sequence[Bound] = (),
) -> Plot | None:
    """Values from left to right, a row for each name; by decades with ``log``, 0 left of them all.

    Points, whiskers' ends and bounds that are not finite are left out; None if no point stays.
    """
    shown = [point for point in points if is_drawn(point.x)]
    if not shown:
        return None
    bounds = [bound for bound in bounds if is_drawn(bound.value)]
    bottom = _TOP + _ROW * len(rows) + 8
    values = [value for point in shown for value in _ends(point)]
    scale = _Scale.of([*values, *(b.value for b in bounds)], _NAMES, _RIGHT, log=log)
    places = [_TOP + _ROW * (row + 0.5) + 4 for row in range(len(rows))]
    placed = [(point, scale.at(point.x), places[point.row]) for point in shown]
    strokes = [
        Stroke(b.run, f"M{scale.at(b.value)} {_TOP}V{bottom}", "bound", b.told) for b in bounds
    ]
    strokes += [
        Stroke(p.run, f"M{scale.at(low)} {y}H{scale.at(high)}", "whisker", p.told)
        for p, _, y in placed
        for low, high in [_whisker(p)]
        if low < high
    ]
    return Plot(
        title, about, across, "", _WIDTH, bottom + _FOOT, (_NAMES, _TOP, _RIGHT, bottom),
        scale.ticks(), (),
        tuple((y, _shortened(name), name) for y, name in zip(places, rows, strict=True)),
        (*strokes, *_joins(placed, stairs=False)),
        tuple(_layered([_mark(*one) for one in placed])),
    )  # fmt: skip


def field_plot(
    title: str,
    about: str,
    points: Sequence[Point],
    across: str,
    upwards: str,
    *,
    log_x: bool | None = None,
    log_y: bool | None = None,
    x_ticks: Sequence[float] = (),
    stairs: bool = False,
) -> Plot | None:
    """``y`` against ``x``; by decades where asked, or where it is left open and the span is wide.

    With ``x_ticks`` the axis is linear and goes from the first to the last of them. Whiskers run
    along x. Labels are left out where they would cover something. Points that are not finite are
    left out; None if none stays.
    """
    shown = [point for point in points if is_drawn(point.x) and is_drawn(point.y)]
    if not shown:
        return None
    frame = (_SCALE, _TOP, _RIGHT, _TOP + _HEIGHT)
    along = [*x_ticks, *(v for p in shown for v in _ends(p))]
    x = _Scale.of(along, frame[0], frame[2], log=False if x_ticks else log_x)
    y = _Scale.of([p.y for p in shown], frame[3], frame[1], log=log_y)
    placed = [(point, x.at(point.x), y.at(point.y)) for point in shown]
    whiskers = [
        Stroke(p.run, f"M{x.at(low)} {at}H{x.at(high)}", "whisker", p.told)
        for p, _, at in placed
        for low, high in [_whisker(p)]
        if low < high
    ]
    return Plot(
        title, about, across, upwards, _WIDTH, frame[3] + _FOOT, frame,
        x.ticks(x_ticks), y.ticks(), (),
        (*whiskers, *_joins(placed, stairs=stairs)), tuple(_layered(_labelled(placed, frame[3]))),
    )  # fmt: skip


def is_drawn(value: float | None) -> bool:
    """Whether a chart has a place for it: finite, and no larger than anything measured."""
    return value is not None and math.isfinite(value) and abs(value) < _HUGE


@dataclass(frozen=True)
class _Scale:
    """A scale and, by decades, whether something stands at 0, below the lowest of them."""

    scale: Scale
    zero: bool = False

    @classmethod
    def of(cls, values: Sequence[float], start: float, end: float, *, log: bool | None) -> _Scale:
        if not log:
            linear = Scale.roomy(values, start, end)
            if log is False and linear.log:
                low, high = min(values), max(values)
                linear = Scale(low - (high - low) / 25, high + (high - low) / 25, start, end)
            return cls(linear)
        above = [value for value in values if value >= _LEAST] or [1.0]
        zero = len(above) < len(values) or min(values) < _LEAST
        low = math.log10(min(above)) - (1.0 if zero else 0.12)
        high = math.log10(max(above)) + 0.12
        wider = max(0.0, 1.2 - (high - low)) / 2  # room for ticks where all lie close
        low, high = low - wider, high + wider
        return cls(Scale(10.0**low, 10.0**high, start, end, log=True), zero)

    def at(self, value: float) -> float:
        if self.scale.log:
            value = min(max(value, self.scale.low), self.scale.high)
        return self.scale.at(value)

    def ticks(self, wanted: Sequence[float] = ()) -> tuple[Tick, ...]:
        if wanted:
            words = figures(wanted)
            return tuple(Tick(self.at(v), text) for v, text in zip(wanted, words, strict=True))
        if not self.zero:
            return self.scale.ticks()
        first = Tick(self.scale.at(self.scale.low), "0")
        far = [tick for tick in self.scale.ticks() if abs(tick.at - first.at) > 40]
        return (first, *far)


def _ends(point: Point) -> tuple[float, ...]:
    return (point.x, *(value for value in _whisker(point)))


def _whisker(point: Point) -> tuple[float, float]:
    low, high = (
        value if value is not None and is_drawn(value) else point.x
        for value in (point.low, point.high)
    )
    return low, high


def _joins(placed: Sequence[tuple[Point, float, float]], *, stairs: bool) -> list[Stroke]:
    """A line through the points of one run and one word, in their order."""
    lines: dict[tuple[int, str], list[tuple[float, float]]] = {}
    for point, x, y in placed:
        if point.joined:
            lines.setdefault((point.run, point.joined), []).append((x, y))
    strokes = []
    for (run, word), through in lines.items():
        path = f"M{through[0][0]} {through[0][1]}"
        for x, y in through[1:]:
            path += f"H{x}V{y}" if stairs else f"L{x} {y}"
        if len(through) > 1:
            strokes.append(Stroke(run, path, "line", word))
    return strokes


def _mark(point: Point, x: float, y: float) -> Mark:
    return Mark(point.run, x, y, point.shape, point.told, point.label)


def _labelled(placed: Sequence[tuple[Point, float, float]], bottom: float) -> list[Mark]:
    """The marks, each with its label above or below it, or without where neither is free.

    Of marks on one spot that are labelled alike the first has the label.
    """
    taken = [(x - 5, y - 5, x + 5, y + 5) for _, x, y in placed]
    marks: list[Mark] = []
    for point, x, y in placed:
        mark = _mark(point, x, y)
        if mark.label and any(m.label == mark.label and _meet(m, mark) for m in marks):
            mark = replace(mark, label="")
        for right, down in _ASIDE if mark.label else ():
            left, base = x + right, y + down
            box = (left, base - _LABEL + 3, left + _LETTER * len(mark.label), base + 1)
            inside = box[2] < _WIDTH and box[3] < bottom
            if inside and not any(map(partial(_overlap, box), taken)):
                taken.append(box)
                mark = replace(mark, label_x=round(left, 1), label_y=round(base, 1))
                break
        marks.append(mark if mark.label_x else replace(mark, label=""))
    return marks


def _layered(marks: Sequence[Mark]) -> list[Mark]:
    """Where several runs' marks meet, each is larger than those that are drawn over it.

    So all of them are seen, four at most; the first run's lies on top.
    """
    made: list[Mark] = []
    for mark in marks:
        below = {other.run for other in made if other.run != mark.run and _meet(other, mark)}
        made.append(replace(mark, size=_SIZE + _LARGER * min(len(below), _LAYERS - 1)))
    return sorted(made, key=lambda mark: -mark.size)


def _meet(one: Mark, other: Mark) -> bool:
    return abs(one.x - other.x) < _SIZE and abs(one.y - other.y) < _SIZE


def _overlap(
    one: tuple[float, float, float, float], other: tuple[float, float, float, float]
) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
