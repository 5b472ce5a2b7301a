"""Points of two numbers: a colour a series, a mark a kind, a staircase through the best of both."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from geocore.report.axes import Scale
from geocore.report.canvas import INK, Axis, Canvas, Frame, Picture, Point
from geocore.report.charts import COLOURS

__all__ = ["Spot", "scatter_chart"]

Colour = tuple[int, int, int]
_COLOURS = (*COLOURS, (86, 180, 233), INK)
_PAPER = (255, 255, 255)
_WIDTH, _LEFT, _RIGHT, _HEIGHT = 640.0, 64.0, 616.0, 300.0  # points; of the frame but for _WIDTH
_ROW, _KEY = 18.0, 20.0  # points of the legend: a row, a mark with its room


@dataclass(frozen=True)
class Spot:
    """A point; ``kind`` chooses its mark. ``best`` ones of a series and kind are joined."""

    x: float
    y: float
    kind: str
    best: bool = False
    x_error: float | None = None


def scatter_chart(
    series: Mapping[str, Sequence[Spot]],
    kinds: Sequence[str],
    title: str,
    across: str,
    upwards: str,
) -> Picture:
    """``y`` against ``x``, each axis by decades where positive values span more than one.

    Every one of ``kinds``, at most four, has a mark of its own, whatever the series: ring, dot,
    square and cross in their order. A staircase leads from each ``best`` spot to the next dearer
    one of its series and kind, dashed for the first kind. ``x_error`` is drawn to both sides. Equal
    numbers give equal bytes. Raises ``ValueError`` for an unknown kind, a number that is not
    finite, more than four kinds, and where there is nothing to draw.
    """
    spots = [spot for several in series.values() for spot in several]
    _check(spots, kinds)
    shown = [kind for kind in kinds if any(spot.kind == kind for spot in spots)]
    entries = [(name, n) for n, name in enumerate(series)] + [(kind, -1) for kind in shown]
    places, rows = _legend([name for name, _ in entries])
    top = 40 + _ROW * rows
    canvas = Canvas(_WIDTH, top + _HEIGHT + 52)
    canvas.text((_WIDTH / 2, 20), title, 12)
    ends = [spot.x + sign * (spot.x_error or 0.0) for spot in spots for sign in (-1, 1)]
    x = Scale.roomy(ends, _LEFT, _RIGHT)
    y = Scale.roomy([spot.y for spot in spots], top + _HEIGHT, top)
    # The scales give points of the canvas already; the frame draws their ticks there.
    frame = Frame(
        canvas, _LEFT, top, _RIGHT, top + _HEIGHT,
        Axis(_LEFT, _RIGHT, [(tick.at, tick.label) for tick in x.ticks()], across),
        Axis(top + _HEIGHT, top, [(tick.at, tick.label) for tick in y.ticks()], upwards),
    )  # fmt: skip
    frame.draw()
    for (name, number), (along, row) in zip(entries, places, strict=True):
        middle = (along + 7, 44 + _ROW * row)
        if number >= 0:
            corner = (middle[0] - 5, middle[1] - 5)
            canvas.rectangle(corner, (corner[0] + 10, corner[1] + 10), _colour(number))
        else:
            _MARKS[kinds.index(name)](canvas, middle, INK)
        canvas.text((along + _KEY, middle[1]), name, 9.5, anchor="lm")
    for number, several in enumerate(series.values()):
        for kind in shown:
            best = sorted((s.x, s.y) for s in several if s.best and s.kind == kind)
            canvas_points = [(x.at(a), y.at(b)) for a, b in best]
            if len(canvas_points) > 1:
                dash = 0.0 if kinds.index(kind) else 4.0  # as open as that kind's mark
                canvas.line(_staircase(canvas_points), _colour(number), 1.2, dash)
    for number, several in enumerate(series.values()):
        for spot in several:
            at = (x.at(spot.x), y.at(spot.y))
            if spot.x_error:
                low, high = (x.at(spot.x + sign * spot.x_error) for sign in (-1, 1))
                canvas.line([(low, at[1]), (high, at[1])], _colour(number), 1.0)
            _MARKS[kinds.index(spot.kind)](canvas, at, _colour(number))
    return canvas.picture()


def _check(spots: Sequence[Spot], kinds: Sequence[str]) -> None:
    if len(kinds) > len(_MARKS) or len(set(kinds)) != len(kinds):
        raise ValueError(f"kinds are {list(kinds)}; expected at most {len(_MARKS)}, each once")
    if not spots:
        raise ValueError("series has no spot; expected at least one")
    for spot in spots:
        if spot.kind not in kinds:
            raise ValueError(f"series has a {spot.kind!r}; expected one of {', '.join(kinds)}")
        if not all(math.isfinite(value) for value in (spot.x, spot.y, spot.x_error or 0.0)):
            raise ValueError(f"series has {spot}; expected finite numbers")


def _colour(number: int) -> Colour:
    return _COLOURS[number % len(_COLOURS)]


def _staircase(points: Sequence[Point]) -> list[Point]:
    """Level until the next spot, then up to it: what is had for a price."""
    steps = [points[0]]
    for at in points[1:]:
        steps += [(at[0], steps[-1][1]), at]
    return steps


def _ring(canvas: Canvas, at: Point, colour: Colour) -> None:
    canvas.dot(at, 4.4, colour)
    canvas.dot(at, 2.6, _PAPER)


def _dot(canvas: Canvas, at: Point, colour: Colour) -> None:
    canvas.dot(at, 3.8, colour)


def _square(canvas: Canvas, at: Point, colour: Colour) -> None:
    canvas.rectangle((at[0] - 3.6, at[1] - 3.6), (at[0] + 3.6, at[1] + 3.6), colour)


def _cross(canvas: Canvas, at: Point, colour: Colour) -> None:
    for sign in (-1, 1):
        ends = [(at[0] - 4, at[1] - 4 * sign), (at[0] + 4, at[1] + 4 * sign)]
        canvas.line(ends, colour, 1.8)


_MARKS: tuple[Callable[[Canvas, Point, Colour], None], ...] = (_ring, _dot, _square, _cross)


def _legend(names: Sequence[str]) -> tuple[list[tuple[float, int]], int]:
    """Where each name begins and in which row, as many to a row as there is room for; the rows."""
    measure = Canvas(1, 1)
    places: list[tuple[float, int]] = []
    along, row = _LEFT, 0
    for name in names:
        room = _KEY + measure.text_width(name, 9.5)
        if along > _LEFT and along + room > _RIGHT:
            along, row = _LEFT, row + 1
        places.append((along, row))
        along += room + 18
    return places, row + 1
