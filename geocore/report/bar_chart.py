"""Groups of bars: a number by name, one bar for each of several that are set side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from geocore.report.canvas import INK, Axis, Canvas, Frame, Picture
from geocore.report.charts import COLOURS

__all__ = ["bar_chart"]

_BAR, _GAP = 9.0, 10.0  # points


def bar_chart(
    names: Sequence[str],
    groups: Mapping[str, Sequence[float | None]],
    title: str,
    label: str,
    most: float | None = None,
) -> Picture:
    """Horizontal bars from 0, a block for each of ``names`` with a bar for each of ``groups``.

    None has no bar. The axis ends at ``most``, by default at the next round number.
    """
    values = [value for line in groups.values() for value in line if value is not None]
    end, step = _round(max([*values, 1e-9])) if most is None else (most, most / 5)
    room = max(map(Canvas(1, 1).text_width, names))
    block = _BAR * len(groups) + _GAP
    left, top = 18 + room, 66.0
    canvas = Canvas(left + 400, top + block * len(names) + 44)
    canvas.text((canvas.width / 2, 22), title, 12)
    place = left
    for number, group in enumerate(groups):
        canvas.rectangle((place, 44), (place + 12, 52), COLOURS[number % len(COLOURS)])
        canvas.text((place + 17, 48), group, 9.5, anchor="lm")
        place += 34 + canvas.text_width(group, 9.5)
    ticks = [(step * n, f"{step * n:g}") for n in range(round(end / step) + 1)]
    frame = Frame(
        canvas, left, top - 4, left + 360, top + block * len(names),
        Axis(0, end, ticks, label), Axis(0, 1),
    )  # fmt: skip
    frame.draw()
    for value, _ in ticks:
        x, y = frame.at(value, 1)
        canvas.line([(x, y), (x, frame.bottom)], (228, 228, 232), 0.6)
    for row, name in enumerate(names):
        y = top + row * block + _GAP / 2
        canvas.text((left - 8, y + _BAR * len(groups) / 2), name, 10, anchor="rm")
        for number, line in enumerate(groups.values()):
            length, height = line[row], y + number * _BAR
            if length is None:
                canvas.text((left + 4, height + _BAR / 2), "none", 7.5, INK, anchor="lm")
                continue
            x, _ = frame.at(min(length, end), 0)
            fill = COLOURS[number % len(COLOURS)]
            canvas.rectangle((left, height + 0.5), (x, height + _BAR - 0.5), fill)
            canvas.text((x + 4, height + _BAR / 2), f"{length:.3g}", 7.5, anchor="lm")
    return canvas.picture()


def _round(value: float) -> tuple[float, float]:
    """A round number at or above ``value``, and a fifth to a tenth of it that divides it."""
    decade = 10.0 ** math.floor(math.log10(value))
    for step in (0.2, 0.5, 1.0, 2.0):
        count = math.ceil(value / (step * decade) - 1e-9)
        if count <= 8:
            return count * step * decade, step * decade
    return 10 * decade, 2 * decade
