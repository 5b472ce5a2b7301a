"""Curves of a number against a size: by decades along, a curve a series, bars for deviations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from geocore.report.axes import Scale
from geocore.report.canvas import INK, Axis, Canvas, Frame, Picture
from geocore.report.charts import COLOURS

__all__ = ["Mark", "line_chart"]

# The rest of Okabe and Ito's colours; series beyond all of them are dashed in the same again.
_COLOURS = (*COLOURS, (86, 180, 233), INK)
_PAPER = (255, 255, 255)
_WIDTH, _LEFT, _RIGHT, _HEIGHT = 640.0, 64.0, 616.0, 280.0  # points; of the frame but for _WIDTH
_ROW = 18.0  # points of the legend
_ROOM = 1.3  # factor beyond the outermost points along
_SPAN = 10.0  # the least ratio of the ends along


@dataclass(frozen=True)
class Mark:
    """A point of a curve; ``sd`` is drawn above and below it, None for none."""

    x: float
    y: float
    sd: float | None = None


def line_chart(
    series: Mapping[str, Sequence[Mark]], title: str, across: str, upwards: str
) -> Picture:
    """``y`` against ``log x``, a curve for each of ``series`` through its marks by growing ``x``.

    Upwards the axis is linear, by decades where positive values span more than one. A series of
    one mark is a ring. Equal numbers give equal bytes. Raises ``ValueError`` for an ``x`` that is
    not above 0, a number that is not finite, and where there is nothing to draw.
    """
    marks = [mark for several in series.values() for mark in several]
    if not marks:
        raise ValueError("series has no mark; expected at least one")
    for mark in marks:
        finite = all(math.isfinite(value) for value in (mark.x, mark.y, mark.sd or 0.0))
        if not finite or mark.x <= 0:
            raise ValueError(f"series has {mark}; expected finite numbers and x above 0")
    places, rows = _legend(list(series))
    top = 40 + _ROW * rows
    canvas = Canvas(_WIDTH, top + _HEIGHT + 52)
    canvas.text((_WIDTH / 2, 20), title, 12)
    x = _by_decades([mark.x for mark in marks])
    ends = [mark.y + sign * (mark.sd or 0.0) for mark in marks for sign in (-1, 1)]
    y = Scale.roomy(ends, top + _HEIGHT, top)
    # The scales give points of the canvas already; the frame draws their ticks there.
    frame = Frame(
        canvas, _LEFT, top, _RIGHT, top + _HEIGHT,
        Axis(_LEFT, _RIGHT, [(tick.at, tick.label) for tick in x.ticks()], across),
        Axis(top + _HEIGHT, top, [(tick.at, tick.label) for tick in y.ticks()], upwards),
    )  # fmt: skip
    frame.draw()
    for number, (name, several) in enumerate(series.items()):
        colour, dash = _COLOURS[number % len(_COLOURS)], 4.0 * (number // len(_COLOURS) % 2)
        along, row = places[name]
        middle = 44 + _ROW * row
        alone = len(several) == 1
        if not alone:
            canvas.line([(along, middle), (along + 22, middle)], colour, 1.8, dash)
        _mark(canvas, (along + 11, middle), colour, alone=alone)
        canvas.text((along + 28, middle), name, 9.5, anchor="lm")
        curve = sorted(several, key=lambda mark: (mark.x, mark.y))
        points = [(x.at(mark.x), y.at(mark.y)) for mark in curve]
        if not alone:
            canvas.line(points, colour, 1.8, dash)
        for mark, point in zip(curve, points, strict=True):
            if mark.sd:
                low, high = (y.at(mark.y + sign * mark.sd) for sign in (-1, 1))
                canvas.line([(point[0], low), (point[0], high)], colour, 1.0)
                for end in (low, high):
                    canvas.line([(point[0] - 3, end), (point[0] + 3, end)], colour, 1.0)
            _mark(canvas, point, colour, alone=alone)
    return canvas.picture()


def _mark(
    canvas: Canvas, at: tuple[float, float], colour: tuple[int, int, int], *, alone: bool
) -> None:
    canvas.dot(at, 4.6 if alone else 3.2, colour)
    if alone:
        canvas.dot(at, 2.4, _PAPER)


def _legend(names: Sequence[str]) -> tuple[dict[str, tuple[float, int]], int]:
    """Where each name begins and in which row, as many to a row as there is room for; the rows."""
    measure = Canvas(1, 1)
    places: dict[str, tuple[float, int]] = {}
    along, row = _LEFT, 0
    for name in names:
        room = 28 + measure.text_width(name, 9.5)
        if along > _LEFT and along + room > _RIGHT:
            along, row = _LEFT, row + 1
        places[name] = (along, row)
        along += room + 18
    return places, row + 1


def _by_decades(values: Sequence[float]) -> Scale:
    """A logarithmic scale with room at both ends, and room for ticks where values lie close."""
    low, high = min(values) / _ROOM, max(values) * _ROOM
    wider = max(1.0, math.sqrt(_SPAN * low / high))
    return Scale(low / wider, high * wider, _LEFT, _RIGHT, log=True)
