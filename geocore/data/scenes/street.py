"""The ground: a straight road between raised pavements, its marks, and perhaps a cross street.

The world frame is the street's: x along the road, y to the left, z up, the road at ``z = 0``. The
pavements fill the rest of the plane at the height of the kerb.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from geocore.data.scenes.classes import LANE_MARK, PAVEMENT, ROAD
from geocore.data.scenes.intersect import Axes

__all__ = [
    "FAR",
    "KERB_FACE",
    "NO_MARK",
    "PAVEMENT_TOP",
    "ROAD_TOP",
    "Bar",
    "Lane",
    "Line",
    "Street",
    "ground",
    "ground_labels",
    "marks",
    "on_road",
]

Array = npt.NDArray[Any]

FAR = 200.0  # metres: what lies further off is haze, which is sky
ROAD_TOP, PAVEMENT_TOP, KERB_FACE = range(3)
NO_MARK, WHITE, YELLOW = range(3)


@dataclass(frozen=True)
class Lane:
    """A strip of the road along x: what drives (``heading`` +1 or -1) or is parked there."""

    centre: float
    width: float
    heading: int
    parked: bool


@dataclass(frozen=True)
class Line:
    """A painted line along x: solid where ``period`` is 0, else ``filled`` metres of each."""

    centre: float
    half_width: float
    period: float
    filled: float
    phase: float
    colour: int


@dataclass(frozen=True)
class Bar:
    """A painted rectangle; with a ``period``, stripes along x that repeat across y."""

    x: tuple[float, float]
    y: tuple[float, float]
    period: float


@dataclass(frozen=True)
class Street:
    """Where the road lies and what is painted on it; metres."""

    half_width: float
    kerb: float
    pavements: tuple[float, float]  # widths, left and right
    lanes: tuple[Lane, ...]
    lines: tuple[Line, ...]
    bars: tuple[Bar, ...]
    cross: tuple[float, float] | None  # the cross street's middle and half-width along x


def ground(street: Street, origin: tuple[float, float, float], direction: Axes) -> Axes:
    """Distance to the ground along rays from one point above it, and which face they meet.

    A ray that goes down meets the pavement's plane first; if that is above the road, the nearer
    of the road and of the kerb under which it would go. Infinity for rays that do not come down
    within ``FAR``. Returns distance, face (``ROAD_TOP``...), and the height where it is met.
    """
    x, y, z = origin
    dx, dy, dz = direction
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        top, low = (street.kerb - z) / dz, -z / dz
        road = on_road(street, x + top * dx, y + top * dy)
        leave = _leaving(street, (x, y), direction, top)
        kerb = leave < low
        t = np.where(road, np.where(kerb, leave, low), top)
        t = np.where((dz < 0) & (t <= FAR), t, np.float32(np.inf))
    face = np.where(road, np.where(kerb, KERB_FACE, ROAD_TOP), PAVEMENT_TOP).astype(np.int8)
    height = np.where(face == KERB_FACE, z + np.where(np.isfinite(t), t, 0) * dz, 0.0)
    return t, face, np.where(face == PAVEMENT_TOP, street.kerb, height)


def on_road(street: Street, x: Array, y: Array) -> Array:
    """True on the road and on the cross street."""
    road = np.abs(y) < street.half_width
    if street.cross is not None:
        road = road | (np.abs(x - street.cross[0]) < street.cross[1])
    return np.asarray(road)


def _leaving(street: Street, start: tuple[float, float], direction: Axes, after: Array) -> Array:
    """Where rays that are over the road at ``after`` leave it: the end of a union of intervals."""

    def interval(origin: float, rate: Array, middle: float, half: float) -> tuple[Array, Array]:
        first, last = (middle - half - origin) / rate, (middle + half - origin) / rate
        return np.minimum(first, last), np.maximum(first, last)

    low, high = interval(start[1], direction[1], 0.0, street.half_width)
    if street.cross is None:
        return high
    other_low, other_high = interval(start[0], direction[0], *street.cross)
    end = np.where((low <= after) & (after <= high), high, other_high)
    end = np.where((other_low <= end) & (end < other_high), other_high, end)
    return np.where((low <= end) & (end < high), high, end)


def marks(street: Street, x: Array, y: Array) -> Array:
    """The colour of the paint on the road at ``(x, y)``: ``NO_MARK``, ``WHITE``, ``YELLOW``."""
    paint = np.zeros(np.broadcast(x, y).shape, dtype=np.int8)
    for line in street.lines:
        on = np.abs(y - line.centre) < line.half_width
        if line.period > 0:
            on &= np.mod(x - line.phase, line.period) < line.filled
        paint[on] = line.colour
    if street.cross is not None:
        middle, half = street.cross
        paint[np.abs(x - middle) < half + 1.0] = NO_MARK
        away = np.abs(y) - street.half_width
        on = (np.abs(x - middle) < 0.07) & (away > 1.0) & (np.mod(away, 4.0) < 2.0)
        paint[on] = WHITE
    for bar in street.bars:
        on = (x > bar.x[0]) & (x < bar.x[1]) & (y > bar.y[0]) & (y < bar.y[1])
        if bar.period > 0:
            on &= np.mod(y - bar.y[0], bar.period) < bar.period / 2
        paint[on] = WHITE
    return paint


def ground_labels(face: Array, paint: Array) -> Array:
    """Classes of ground points: paint counts on the road alone."""
    road = np.where(paint != NO_MARK, LANE_MARK, ROAD)
    return np.where(face == ROAD_TOP, road, PAVEMENT).astype(np.uint8)
