"""A street drawn from a generator: lanes, parking strips, lines, crossings, a cross street."""

from __future__ import annotations

import numpy as np

from geocore.data.scenes.street import WHITE, YELLOW, Bar, Lane, Line, Street

__all__ = ["draw_street"]

_STRIPE = 1.0  # metres from one zebra stripe to the next


def draw_street(random: np.random.Generator) -> Street:
    """One to four lanes, at least one of them along +x; parking strips; marks.

    Traffic keeps to the right: lanes along +x lie at negative y.
    """
    count = int(random.choice([1, 2, 3, 4], p=[0.15, 0.6, 0.12, 0.13]))
    width = random.uniform(2.8, 3.4)
    strip = random.uniform(2.2, 2.5)
    left, right = (strip if random.random() < 0.65 else 0.0 for _ in range(2))
    half = (count * width + left + right) / 2
    forward = (count + 1) // 2
    lanes = [
        Lane(-half + right + (place + 0.5) * width, width, 1 if place < forward else -1, False)
        for place in range(count)
    ]
    if right:
        lanes.append(Lane(-half + right / 2, right, 1, True))
    if left:
        lanes.append(Lane(half - left / 2, left, -1, True))
    cross = None
    if random.random() < 0.5:
        cross = (random.uniform(9.0, 55.0), random.uniform(2.8, 5.0))
    lines = _lines(random, count, forward, width, half, left, right)
    bars = _bars(random, half, lines, cross)
    return Street(
        half_width=half,
        kerb=random.uniform(0.08, 0.16),
        pavements=(random.uniform(2.2, 5.5), random.uniform(2.2, 5.5)),
        lanes=tuple(lanes),
        lines=tuple(lines),
        bars=tuple(bars),
        cross=cross,
    )


def _lines(
    random: np.random.Generator,
    count: int,
    forward: int,
    width: float,
    half: float,
    left: float,
    right: float,
) -> list[Line]:
    """Between lanes dashed; between the directions dashed, solid or double; edges solid."""
    thick = random.uniform(0.06, 0.1)
    period = random.uniform(5.0, 9.0)
    filled = period * random.uniform(0.35, 0.6)
    phase = random.uniform(0.0, period)
    middle = YELLOW if random.random() < 0.25 else WHITE
    style = random.choice(["dashed", "solid", "double"], p=[0.5, 0.25, 0.25])
    lines = []
    for place in range(1, count):
        y = -half + right + place * width
        if place != forward or style == "dashed":
            colour = middle if place == forward else WHITE
            lines.append(Line(y, thick, period, filled, phase, colour))
        elif style == "solid":
            lines.append(Line(y, thick, 0.0, 0.0, 0.0, middle))
        else:
            lines += [Line(y + s * 2 * thick, thick, 0.0, 0.0, 0.0, middle) for s in (-1, 1)]
    edges = random.random() < 0.75 or not lines
    for y, strip, sign in ((-half + right, right, 1), (half - left, left, -1)):
        if strip:
            lines.append(Line(y, thick, 1.5, 0.9, phase, WHITE))
        elif edges:
            lines.append(Line(y + sign * 0.3, thick, 0.0, 0.0, 0.0, WHITE))
    return lines


def _bars(
    random: np.random.Generator,
    half: float,
    lines: list[Line],
    cross: tuple[float, float] | None,
) -> list[Bar]:
    """Zebra crossings and the stop lines before them."""
    places = []
    if cross is not None:
        for sign in (-1, 1):
            if random.random() < 0.7:
                places.append(cross[0] + sign * (cross[1] + random.uniform(2.5, 4.0)))
    elif random.random() < 0.6:
        places.append(random.uniform(5.0, 30.0))
    bars = []
    for x in places:
        long = random.uniform(1.2, 2.0)
        bars.append(Bar((x - long, x + long), (-half + 0.2, half - 0.2), _STRIPE))
        if random.random() < 0.6:
            ahead = x - long - random.uniform(0.8, 1.6)
            bars.append(Bar((ahead - 0.3, ahead), (-half + 0.2, -0.1), 0.0))
    return bars
