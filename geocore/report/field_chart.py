"""Fields over a square as colours, side by side with one scale, and what is drawn on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from geocore.healpix.draw import colours
from geocore.report.axes import Scale
from geocore.report.canvas import INK, Axis, Canvas, Frame, Picture, Point

__all__ = ["Label", "Panel", "field_chart"]

Colour = tuple[int, int, int]

_SIDE, _GAP, _LEFT, _TOP = 210.0, 36.0, 46.0, 58.0  # points
_BAR, _RIGHT, _BOTTOM = 12.0, 76.0, 44.0
_STEPS = 120  # of the colours' scale
_OUTLINE, _STROKE, _DOT = (90, 200, 250), (25, 25, 35), (0, 158, 115)


@dataclass(frozen=True)
class Label:
    """Words at a point of a panel, in its coordinates."""

    at: Point
    words: str
    colour: Colour


@dataclass(frozen=True)
class Panel:
    """A field on the square ``[-extent, extent]^2`` about ``centre``.

    ``values (size, size)``: the first index grows to the right, the second upwards; the outermost
    points lie on the rim. ``strokes (k, 2, 2)`` are short lines from their first to their second
    end, ``dots (k, 2)`` small marks, ``outline`` a dashed line.
    """

    title: str
    values: Tensor
    extent: float
    centre: Point = (0.0, 0.0)
    strokes: Tensor | None = None
    dots: Tensor | None = None
    outline: Sequence[Point] = ()
    labels: Sequence[Label] = ()


def field_chart(
    panels: Sequence[Panel], title: str, told: str, limits: tuple[float, float] | None = None
) -> Picture:
    """The panels in a row, dark where low, and the scale that they share, named ``told``.

    ``limits`` are its ends, by default those of all finite values. What is drawn on a panel ends at
    its rim. Equal numbers give equal bytes. Raises ``ValueError`` for no panel, values that are no
    square, and where no value is finite.
    """
    if not panels:
        raise ValueError("panels are none; expected at least one")
    for panel in panels:
        if panel.values.ndim != 2 or panel.values.shape[0] != panel.values.shape[1]:
            found = tuple(panel.values.shape)
            raise ValueError(f"values have shape {found}; expected (size, size)")
    every = torch.cat([panel.values.double().flatten() for panel in panels])
    finite = every[every.isfinite()]
    if limits is None:
        if not len(finite):
            raise ValueError("values are all infinite or NaN; expected a finite one")
        limits = float(finite.min()), float(finite.max())
    wide = _LEFT + len(panels) * (_SIDE + _GAP) + _RIGHT
    canvas = Canvas(wide, _TOP + _SIDE + _BOTTOM)
    canvas.text((wide / 2, 20), title, 12)
    for place, panel in enumerate(panels):
        _paint(canvas, panel, _LEFT + place * (_SIDE + _GAP), limits)
    _scale(canvas, wide - _RIGHT - _GAP / 2 + 8, limits, told)
    return canvas.picture()


def _paint(canvas: Canvas, panel: Panel, left: float, limits: tuple[float, float]) -> None:
    size = len(panel.values)
    known = torch.where(panel.values.isnan(), limits[0], panel.values)
    painted = [
        [(int(r), int(g), int(b)) for r, g, b in column]
        for column in colours(known, limits).round().tolist()
    ]
    # Each value stands for the square about it; those at the rim for the half inside.
    ends = [0.0, *((place + 0.5) / (size - 1) for place in range(size - 1)), 1.0]
    for a in range(size):
        for b in range(size):
            first = left + ends[a] * _SIDE, _TOP + (1 - ends[b]) * _SIDE
            second = left + ends[a + 1] * _SIDE, _TOP + (1 - ends[b + 1]) * _SIDE
            canvas.rectangle(first, second, painted[a][b])
    axes = [_axis(middle, panel.extent) for middle in panel.centre]
    frame = Frame(canvas, left, _TOP, left + _SIDE, _TOP + _SIDE, *axes)
    canvas.text((left + _SIDE / 2, _TOP - 12), panel.title, 10)
    for value, words in frame.x.ticks:
        at = frame.at(value, frame.y.low)
        canvas.line([at, (at[0], at[1] + 3)], INK, 0.8)
        canvas.text((at[0], at[1] + 6), words, 8.5, anchor="mt")
    for value, words in frame.y.ticks:
        at = frame.at(frame.x.low, value)
        canvas.line([at, (at[0] - 3, at[1])], INK, 0.8)
        canvas.text((at[0] - 6, at[1]), words, 8.5, anchor="rm")
    if panel.outline:
        canvas.line([frame.at(*point) for point in panel.outline], _OUTLINE, 1.2, 3.0)
    for stroke in [] if panel.strokes is None else panel.strokes.tolist():
        if all(_inside(frame, end) for end in stroke):
            canvas.line([frame.at(*end) for end in stroke], _STROKE, 1.0)
    for dot in [] if panel.dots is None else panel.dots.tolist():
        if _inside(frame, dot):
            canvas.dot(frame.at(*dot), 1.1, _DOT)
    for label in panel.labels:
        if _inside(frame, label.at):
            canvas.text(frame.at(*label.at), label.words, 7.5, label.colour)


def _scale(canvas: Canvas, left: float, limits: tuple[float, float], told: str) -> None:
    low, high = limits
    steps = colours(torch.linspace(0, 1, _STEPS), (0.0, 1.0)).round().tolist()
    for place, (r, g, b) in enumerate(steps):
        bottom = _TOP + _SIDE * (1 - place / _STEPS)
        fill = (int(r), int(g), int(b))
        canvas.rectangle((left, bottom), (left + _BAR, bottom - _SIDE / _STEPS), fill)
    for tick in Scale.exact([low, high], _TOP + _SIDE, _TOP).ticks():
        canvas.line([(left + _BAR, tick.at), (left + _BAR + 3, tick.at)], INK, 0.8)
        canvas.text((left + _BAR + 6, tick.at), tick.label, 8.5, anchor="lm")
    canvas.text((left + _BAR + 44, _TOP + _SIDE / 2), told, 10, angle=90)


def _axis(middle: float, extent: float) -> Axis:
    low, high = middle - extent, middle + extent
    ticks = Scale(low, high, 0.0, 1.0).ticks()
    return Axis(low, high, [(float(tick.label), tick.label) for tick in ticks])


def _inside(frame: Frame, point: Sequence[float]) -> bool:
    return all(
        math.isfinite(value) and axis.low <= value <= axis.high
        for value, axis in zip(point, (frame.x, frame.y), strict=True)
    )
