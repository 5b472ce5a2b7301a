"""The charts of an evaluation: confusion, reliability, error by layer, accuracy of the surest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from geocore.measure.calibration import Reliability
from geocore.report.canvas import INK, Axis, Canvas, Frame, Picture, Point

__all__ = ["Curve", "confusion_chart", "kept_chart", "layer_chart", "reliability_chart"]

# Okabe and Ito's colours, which the colour-blind can tell apart.
COLOURS = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0))
_PALE = (158, 202, 230)
_LIGHT, _DARK, _NOTHING = (222, 235, 247), (8, 48, 107), (247, 247, 249)
_PAPER = (255, 255, 255)
_WRITTEN = 24  # classes up to which the counts stand in the cells


def confusion_chart(confusion: Tensor, classes: Sequence[str], title: str) -> Picture:
    """Counts ``M[actual, predicted]`` as a table; the darker, the larger a part of its row."""
    count = len(classes)
    cell = max(6.0, min(34.0, 520 / count))
    shown = [name if len(name) <= 14 else f"{name[:13]}…" for name in classes]
    room = max(map(Canvas(1, 1).text_width, shown))  # of the longest name
    left, top, side = 46 + room, 46.0, cell * count
    width = max(left + side + 24, 32 + Canvas(1, 1).text_width(title, 12))
    canvas = Canvas(width, top + side + 40 + (room if room > cell else 12))
    canvas.text((width / 2, 22), title, 12)
    every = max(1, math.ceil(12 / cell))
    totals = confusion.sum(dim=1).clamp(min=1).tolist()
    for row, counts in enumerate(confusion.tolist()):
        y = top + row * cell
        for column, value in enumerate(counts):
            x, part = left + column * cell, value / totals[row]
            fill = _blend(part)
            canvas.rectangle((x + 0.5, y + 0.5), (x + cell - 0.5, y + cell - 0.5), fill)
            if count <= _WRITTEN and value:
                ink = _PAPER if part > 0.45 else INK
                canvas.text((x + cell / 2, y + cell / 2), str(value), min(11, cell / 2.4), ink)
        if row % every == 0:
            canvas.text((left - 6, y + cell / 2), shown[row], 10, anchor="rm")
            at = (left + (row + 0.5) * cell, top + side + 8)
            if room > cell:
                canvas.text((at[0], at[1] - 2), shown[row], 10, anchor="rm", angle=90)
            else:
                canvas.text(at, shown[row], 10, anchor="mt")
    canvas.text((left + side / 2, canvas.height - 12), "predicted", 11)
    canvas.text((14, top + side / 2), "actual", 11, angle=90)
    return canvas.picture()


def reliability_chart(
    table: Reliability,
    title: str,
    unit: str = "samples",
    across: str = "confidence",
    upwards: str = "accuracy",
) -> Picture:
    """Accuracy against confidence, with how many samples (the ``unit``) each bin has below.

    Bars show the accuracy of a bin, dots its mean confidence and accuracy; on the dashed
    diagonal confidence is what it says.
    """
    canvas = Canvas(420, 470)
    canvas.text((230, 22), title, 12)
    fifths = [(n / 5, f"{n / 5:.1f}") for n in range(6)]
    most = max(int(table.count.max()), 1)
    above = Frame(
        canvas, 56, 40, 404, 330, Axis(0, 1), Axis(0, 1, fifths, upwards)
    )  # fmt: skip
    below = Frame(
        canvas, 56, 346, 404, 420,
        Axis(0, 1, fifths, across),
        Axis(0, most * 1.08, [(0, "0"), (most, _counted(most))], unit),
    )  # fmt: skip
    for frame in (above, below):
        frame.draw()
    rows = [
        (float(low), float(high), int(count), float(confidence), float(accuracy))
        for low, high, count, confidence, accuracy in zip(
            table.lower, table.upper, table.count, table.confidence, table.accuracy, strict=True
        )
        if count
    ]
    for low, high, count, _, accuracy in rows:
        gap = (high - low) * 0.06
        canvas.rectangle(above.at(low + gap, 0), above.at(high - gap, accuracy), _PALE)
        canvas.rectangle(below.at(low + gap, 0), below.at(high - gap, count), COLOURS[0])
    canvas.line([above.at(0, 0), above.at(1, 1)], INK, 1.0, dash=4)
    dots = [above.at(confidence, accuracy) for *_, confidence, accuracy in rows]
    if len(dots) > 1:
        canvas.line(dots, COLOURS[0], 1.6)
    for dot in dots:
        canvas.dot(dot, 3.4, COLOURS[0])
    return canvas.picture()


@dataclass(frozen=True)
class Curve:
    """A named row of values from 0 up, one a layer; None where there is nothing to draw."""

    name: str
    values: Sequence[float | None]
    colour: int = 0
    dashed: bool = False


def layer_chart(layers: Sequence[str], curves: Sequence[Curve], title: str, label: str) -> Picture:
    """Values by layer, from the input to the logits, by decades; 0 stands below the lowest."""
    values = [value for curve in curves for value in curve.values if value is not None]
    scale, zero = _decades(values, label)
    room = max(map(Canvas(1, 1).text_width, layers))
    foot, legend = 20 + 0.66 * room, 18 * math.ceil(len(curves) / 3)
    canvas = Canvas(max(560, 64 + 40 * len(layers)), 330 + foot + legend)
    canvas.text((canvas.width / 2 + 20, 22), title, 12)
    for number, curve in enumerate(curves):
        row, column = divmod(number, 3)
        x, y = 70 + column * (canvas.width - 84) / 3, 48 + 18 * row
        _run(canvas, [(x, y), (x + 22, y)], curve, ends=False)
        canvas.text((x + 28, y), curve.name, 9.5, anchor="lm")
    ticks = [(float(place), name) for place, name in enumerate(layers)]
    along = Axis(-0.5, len(layers) - 0.5, ticks)
    frame = Frame(canvas, 64, 50 + legend, canvas.width - 16, 310 + legend, along, scale)
    frame.draw(slanted=True)
    for curve in curves:
        run: list[Point] = []
        for place, value in enumerate([*curve.values, None]):
            if value is not None:
                run.append(frame.at(place, value or zero))
            elif run:
                _run(canvas, run, curve)
                run = []
    return canvas.picture()


def kept_chart(
    shares: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    title: str,
    label: str = "share of samples kept, the least entropy first",
) -> Picture:
    """Accuracy among the surest samples against the share that is kept, a curve a model."""
    lowest = min(min(values) for values in curves.values())
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.25) if 5 * s >= 1 - lowest or s == 0.25)
    rungs = max(1, math.ceil((1 - lowest) / step - 1e-9))
    heights = [(1 - n * step, f"{1 - n * step:.2f}") for n in range(rungs + 1)]
    first = min(shares)
    marks = [(first + n * (1 - first) / 5, f"{first + n * (1 - first) / 5:.0%}") for n in range(6)]
    canvas = Canvas(480, 380)
    canvas.text((260, 22), title, 12)
    frame = Frame(
        canvas, 64, 66, 460, 330,
        Axis(first, 1, marks, label),
        Axis(1 - rungs * step, 1 + 0.04 * rungs * step, heights, "accuracy"),
    )  # fmt: skip
    frame.draw()
    for number, (name, values) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        x = 70 + number * 390 / max(4, len(curves))
        canvas.line([(x, 48), (x + 20, 48)], colour, 1.8)
        canvas.text((x + 26, 48), name, 9.5, anchor="lm")
        points = [frame.at(share, value) for share, value in zip(shares, values, strict=True)]
        canvas.line(points, colour, 1.8)
    return canvas.picture()


def _counted(number: int) -> str:
    """A count as an axis has room for it: from 100,000 on in thousands or millions."""
    if number < 100_000:
        return f"{number}"
    return f"{number / 1e6:.1f}M" if number >= 1_000_000 else f"{number // 1000}k"


def _decades(values: Sequence[float], label: str) -> tuple[Axis, float]:
    """A scale that holds the values, and where on it 0 stands."""
    positive = [value for value in values if value > 0] or [1.0]
    low = math.floor(math.log10(min(positive)))
    high = max(low + 1, math.ceil(math.log10(max(positive))))
    step = max(1, math.ceil((high - low) / 8))
    ticks = [(10.0**n, f"1e{n}" if n else "1") for n in range(high, low - 1, -step)]
    bottom = 10.0 ** (low - 1)
    if len(positive) == len(values):
        return Axis(10.0**low, 10.0**high, ticks, label, log=True), bottom
    return Axis(bottom, 10.0**high, [*ticks, (bottom, "0")], label, log=True), bottom


def _run(canvas: Canvas, points: Sequence[Point], curve: Curve, *, ends: bool = True) -> None:
    """A stretch of a curve, dots on a drawn-out one; in the legend one dot in the middle."""
    colour = COLOURS[curve.colour]
    if len(points) > 1:
        canvas.line(points, colour, 1.8, dash=4.0 if curve.dashed else 0.0)
    (x0, y0), (x1, y1) = points[0], points[-1]
    for dot in points if ends else [((x0 + x1) / 2, (y0 + y1) / 2)]:
        if not curve.dashed or len(points) == 1:
            canvas.dot(dot, 3.2, colour)


def _blend(part: float) -> tuple[int, int, int]:
    """Pale grey for nothing, then light to dark blue."""
    if part == 0:
        return _NOTHING
    r, g, b = (round(a + part**0.7 * (z - a)) for a, z in zip(_LIGHT, _DARK, strict=True))
    return r, g, b
