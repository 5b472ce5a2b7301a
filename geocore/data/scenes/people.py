"""Pedestrians: on the pavements, at the kerb and on the crossings."""

from __future__ import annotations

import math

import numpy as np

from geocore.data.scenes.classes import CAR, PEDESTRIAN
from geocore.data.scenes.seeded import pick_colour, shade
from geocore.data.scenes.solids import Kind, Material, SolidList
from geocore.data.scenes.street import Street, on_road

__all__ = ["add_people"]

_CLOTHES = (
    (0.05, 0.06, 0.10),
    (0.40, 0.05, 0.06),
    (0.08, 0.18, 0.38),
    (0.55, 0.52, 0.48),
    (0.06, 0.06, 0.06),
    (0.15, 0.28, 0.14),
    (0.60, 0.45, 0.10),
    (0.30, 0.20, 0.13),
    (0.62, 0.30, 0.38),
)
_TROUSERS = ((0.04, 0.05, 0.10), (0.03, 0.03, 0.03), (0.22, 0.18, 0.13), (0.25, 0.25, 0.27))
_SKIN = ((0.60, 0.38, 0.27), (0.45, 0.27, 0.18), (0.22, 0.12, 0.08), (0.68, 0.46, 0.35))
_HAIR = ((0.02, 0.015, 0.01), (0.10, 0.05, 0.02), (0.35, 0.25, 0.10), (0.30, 0.30, 0.30))
_CLEAR = 1.6  # metres from the camera


def add_people(
    solids: SolidList, street: Street, camera: tuple[float, float], random: np.random.Generator
) -> None:
    """Up to eighteen people: some near, on the pavement or the road, the others further off.

    Places on a vehicle or too near to the camera stay empty, so at times there is nobody.
    """
    for number in range(int(random.integers(6, 19))):
        near = number < 4
        x = random.uniform(2.0, 11.0) if near else random.uniform(-12.0, 35.0)
        side = 1 if random.random() < 0.5 else -1
        width = street.pavements[0 if side > 0 else 1]
        y = side * (street.half_width + random.uniform(0.4, 1.8 if near else max(0.6, width - 0.5)))
        yaw = (0.0 if random.random() < 0.5 else math.pi) + random.normal(0.0, 0.3)
        if number in (0, 4):  # on the way across the road, wherever that is
            x = random.uniform(3.5, 16.0)
            y = street.half_width * random.uniform(-0.95, 0.95)
            yaw = math.copysign(math.pi / 2, random.uniform(-1, 1))
        crossings = [bar for bar in street.bars if bar.period > 0]
        if crossings and random.random() < 0.4:
            bar = crossings[int(random.integers(len(crossings)))]
            x, y = random.uniform(*bar.x), random.uniform(*bar.y)
            yaw = math.copysign(math.pi / 2, random.uniform(-1, 1))
        if math.hypot(x - camera[0], y - camera[1]) < _CLEAR or _taken(solids, x, y):
            continue
        road = bool(on_road(street, np.asarray(x), np.asarray(y)))
        _person(solids, (x, y, 0.0 if road else street.kerb), yaw, random)


def _taken(solids: SolidList, x: float, y: float) -> bool:
    """True in a vehicle, or within half a metre of one."""
    for row in solids.rows:
        if row["label"] == CAR and row["kind"] == Kind.BOX:
            (along, across, _), (a, b, _) = row["centre"], row["size"]
            if abs(x - along) < a + 0.5 and abs(y - across) < b + 0.5:
                return True
    return False


def _person(
    solids: SolidList,
    foot: tuple[float, float, float],
    yaw: float,
    random: np.random.Generator,
) -> None:
    """Two legs in stride, a torso, two arms, a head with hair."""
    tall = random.uniform(1.05, 1.4) if random.random() < 0.12 else random.uniform(1.55, 1.92)
    scale, broad = tall / 1.75, random.uniform(0.9, 1.25)
    cos, sin = math.cos(yaw), math.sin(yaw)
    coat, trousers = pick_colour(random, _CLOTHES, 0.3), pick_colour(random, _TROUSERS, 0.3)
    skin, hair = pick_colour(random, _SKIN), pick_colour(random, _HAIR, 0.3)

    def at(x: float, y: float, z: float) -> tuple[float, float, float]:
        x, y = x * scale, y * scale
        return foot[0] + cos * x - sin * y, foot[1] + sin * x + cos * y, foot[2] + z * scale

    stride = random.uniform(0.0, 0.22)
    for side in (-1, 1):
        solids.frustum(
            PEDESTRIAN,
            at(side * stride, side * 0.09, 0.0),
            0.85 * scale,
            0.065 * scale * broad,
            trousers,
            top=0.085 * scale * broad,
        )
        solids.ellipsoid(
            PEDESTRIAN,
            at(-side * stride * 0.7, side * 0.23 * broad, 1.12),
            (0.065 * scale, 0.055 * scale, 0.31 * scale),
            shade(coat, 0.9),
            yaw=yaw,
        )
    long = random.random() < 0.25
    solids.ellipsoid(
        PEDESTRIAN,
        at(0.0, 0.0, 1.02 if long else 1.12),
        (0.14 * scale * broad, 0.21 * scale * broad, (0.5 if long else 0.38) * scale),
        coat,
        yaw=yaw,
    )
    solids.ellipsoid(
        PEDESTRIAN,
        at(0.02, 0.0, 1.61),
        (0.105 * scale, 0.09 * scale, 0.135 * scale),
        skin,
        yaw=yaw,
        material=Material.HEAD,
        accent=hair,
    )
