"""Cars, vans and buses: parked in the strips and driving in the lanes."""

from __future__ import annotations

import math

import numpy as np

from geocore.data.scenes.classes import CAR
from geocore.data.scenes.seeded import pick_colour, shade
from geocore.data.scenes.solids import Material, SolidList
from geocore.data.scenes.street import Lane, Street

__all__ = ["add_traffic"]

_PAINTS = (
    (0.55, 0.55, 0.57),
    (0.80, 0.80, 0.80),
    (0.03, 0.03, 0.035),
    (0.20, 0.21, 0.23),
    (0.45, 0.03, 0.03),
    (0.04, 0.10, 0.32),
    (0.10, 0.22, 0.14),
    (0.62, 0.52, 0.22),
    (0.30, 0.33, 0.36),
    (0.65, 0.25, 0.05),
)
_CLEAR = 6.5  # metres before and behind the camera's own car


def add_traffic(
    solids: SolidList, street: Street, own_lane: float, random: np.random.Generator
) -> None:
    """Fills each lane from 45 m behind to 100 m ahead; ``own_lane`` is the y of the camera's.

    One vehicle at least drives or stands within 20 m ahead.
    """
    full, busy = random.uniform(0.4, 0.95), random.uniform(0.25, 0.75)
    for lane in street.lanes:
        x = -45.0 + random.uniform(0.0, 8.0)
        while x < 100.0:
            chance, gap = (full, random.uniform(0.5, 2.0)) if lane.parked else (busy, 0.0)
            gap = gap or random.uniform(4.0, 18.0)
            length = 2 * 2.6
            if random.random() < chance and _free(street, lane, x, own_lane):
                length = _vehicle(solids, lane, x, random)
            x += length + gap
    nearest = random.uniform(7.0, 16.0)
    lanes = [lane for lane in street.lanes if not lane.parked]
    own = min(lanes, key=lambda lane: abs(lane.centre - own_lane))
    standing = [row for row in solids.rows if row["label"] == CAR]
    if not any(
        -2 < row["centre"][0] < 20 and abs(row["centre"][1] - own.centre) < 6 for row in standing
    ):
        _vehicle(solids, own, nearest, random)


def _free(street: Street, lane: Lane, x: float, own_lane: float) -> bool:
    """No vehicle on the camera, nor in the mouth of the cross street where one is parked."""
    if abs(lane.centre - own_lane) < 1.9 and -_CLEAR - 4 < x < _CLEAR:
        return False
    if lane.parked and street.cross is not None:
        return abs(x + 2.5 - street.cross[0]) > street.cross[1] + 4.0
    return True


def _vehicle(solids: SolidList, lane: Lane, x: float, random: np.random.Generator) -> float:
    """One vehicle whose rear or front is at ``x``; returns its length."""
    kinds = ["car", "estate", "van", "bus"]
    shares = [0.6, 0.22, 0.18, 0.0] if lane.parked else [0.6, 0.2, 0.12, 0.08]
    kind = str(random.choice(kinds, p=shares))
    heading = 0.0 if lane.heading > 0 else math.pi
    yaw = heading + random.normal(0.0, 0.02)
    y = lane.centre + random.uniform(-0.15, 0.15) * (0.3 if lane.parked else 1.0)
    paint = pick_colour(random, _PAINTS, 0.2)
    build = {"car": _car, "estate": _car, "van": _van, "bus": _bus}[kind]
    length = {
        "car": random.uniform(3.7, 4.6),
        "estate": random.uniform(4.3, 4.9),
        "van": random.uniform(4.8, 5.8),
        "bus": random.uniform(9.5, 12.0),
    }[kind]
    frame = _Frame(solids, x + length / 2, y, yaw)
    build(frame, length, paint, random, kind == "estate")
    return length


class _Frame:
    """Places solids in a vehicle's own frame: x to its front, y to its left."""

    def __init__(self, solids: SolidList, x: float, y: float, yaw: float) -> None:
        self.solids, self.x, self.y, self.yaw = solids, x, y, yaw

    def at(self, x: float, y: float, z: float) -> tuple[float, float, float]:
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        return self.x + cos * x - sin * y, self.y + sin * x + cos * y, z

    def wheels(self, axles: tuple[float, ...], half_width: float, radius: float) -> None:
        for axle in axles:
            for side in (-1, 1):
                self.solids.ellipsoid(
                    CAR,
                    self.at(axle, side * (half_width - 0.05), radius),
                    (radius, 0.15, radius),
                    (0.02, 0.02, 0.02),
                    yaw=self.yaw,
                    material=Material.WHEEL,
                    accent=(0.35, 0.35, 0.36),
                )


def _car(
    frame: _Frame,
    length: float,
    paint: tuple[float, float, float],
    random: np.random.Generator,
    estate: bool,
) -> None:
    """A lower body with lights, and a cabin of glass with a painted roof."""
    half, wide = length / 2, random.uniform(0.82, 0.93)
    low, belt = random.uniform(0.2, 0.28), random.uniform(0.78, 0.95)
    top = belt + random.uniform(0.5, 0.68)
    frame.solids.box(
        CAR,
        frame.at(0.0, 0.0, (low + belt) / 2),
        (half, wide, (belt - low) / 2),
        paint,
        yaw=frame.yaw,
        taper=(0.12, 0.05),
        material=Material.BODYWORK,
        accent=(0.75, 0.75, 0.7),
    )
    long = half * (0.72 if estate else 0.58)
    rise = top - belt
    lean = 0.25 if estate else 0.42
    shift = -half * (0.22 if estate else 0.12)
    frame.solids.box(
        CAR,
        frame.at(shift, 0.0, (belt + top) / 2),
        (long, wide - 0.05, rise / 2),
        paint,
        yaw=frame.yaw,
        taper=(lean / rise, 0.14 / rise),
        material=Material.CABIN,
        accent=(0.03, 0.035, 0.04),
        detail=(0.12, -0.92, 1.0),
    )
    frame.wheels((-0.62 * half, 0.62 * half), wide, random.uniform(0.29, 0.34))


def _van(
    frame: _Frame,
    length: float,
    paint: tuple[float, float, float],
    random: np.random.Generator,
    estate: bool,
) -> None:
    """A tall box behind a short bonnet; side windows or none."""
    half, wide = length / 2, random.uniform(0.92, 1.02)
    top = random.uniform(1.9, 2.5)
    frame.solids.box(
        CAR,
        frame.at(0.0, 0.0, 0.68),
        (half, wide, 0.4),
        paint,
        yaw=frame.yaw,
        taper=(0.1, 0.02),
        material=Material.BODYWORK,
        accent=(0.75, 0.75, 0.7),
    )
    rise = top - 1.08
    rear = -0.9 if random.random() < 0.4 else 0.35
    frame.solids.box(
        CAR,
        frame.at(-0.14 * half, 0.0, 1.08 + rise / 2),
        (0.82 * half, wide - 0.03, rise / 2),
        paint,
        yaw=frame.yaw,
        taper=(0.2 / rise, 0.1 / rise),
        material=Material.CABIN,
        accent=(0.03, 0.035, 0.04),
        detail=(0.42, rear, 1.25),
    )
    frame.wheels((-0.6 * half, 0.62 * half), wide, 0.35)


def _bus(
    frame: _Frame,
    length: float,
    paint: tuple[float, float, float],
    random: np.random.Generator,
    estate: bool,
) -> None:
    """One box with a band of windows."""
    half, wide, top = length / 2, 1.24, random.uniform(2.9, 3.2)
    frame.solids.box(
        CAR,
        frame.at(0.0, 0.0, 0.75),
        (half, wide, 0.45),
        paint,
        yaw=frame.yaw,
        material=Material.BODYWORK,
        accent=(0.75, 0.75, 0.7),
    )
    rise = top - 1.2
    frame.solids.box(
        CAR,
        frame.at(0.0, 0.0, 1.2 + rise / 2),
        (half, wide, rise / 2),
        shade(paint, 0.9),
        yaw=frame.yaw,
        taper=(0.02, 0.02),
        material=Material.CABIN,
        accent=(0.03, 0.035, 0.04),
        detail=(0.3, -0.97, 1.4),
    )
    frame.wheels((-0.55 * half, 0.6 * half), wide, 0.48)
