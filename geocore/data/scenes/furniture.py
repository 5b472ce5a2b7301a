"""What stands along the kerb: lamp posts, bollards, traffic signs and trees."""

from __future__ import annotations

import math

import numpy as np

from geocore.data.scenes.classes import POLE, TRAFFIC_SIGN, TREE
from geocore.data.scenes.seeded import pick_colour, shade
from geocore.data.scenes.solids import Material, Shape, SolidList
from geocore.data.scenes.street import Street

__all__ = ["add_poles", "add_signs", "add_trees"]

_METAL = ((0.20, 0.21, 0.22), (0.10, 0.13, 0.11), (0.35, 0.36, 0.37), (0.06, 0.06, 0.07))
_BARK = ((0.13, 0.09, 0.06), (0.20, 0.17, 0.13), (0.09, 0.07, 0.05))
_LEAVES = (
    (0.08, 0.20, 0.04),
    (0.14, 0.26, 0.06),
    (0.05, 0.14, 0.05),
    (0.24, 0.26, 0.07),
    (0.34, 0.20, 0.05),
)
_RED, _WHITE, _BLUE = (0.65, 0.03, 0.04), (0.85, 0.85, 0.85), (0.03, 0.12, 0.50)
_YELLOW, _GREEN, _BLACK = (0.80, 0.60, 0.04), (0.03, 0.28, 0.12), (0.03, 0.03, 0.03)

# Outline, rim or ground, and what is inside.
_SIGNS = (
    (Shape.DISC, _RED, _WHITE),
    (Shape.DISC, _BLUE, _WHITE),
    (Shape.DISC, _BLUE, _RED),
    (Shape.TRIANGLE, _RED, _WHITE),
    (Shape.TRIANGLE_DOWN, _RED, _WHITE),
    (Shape.OCTAGON, _RED, _RED),
    (Shape.DIAMOND, _WHITE, _YELLOW),
    (Shape.RECTANGLE, _BLUE, _BLUE),
    (Shape.RECTANGLE, _WHITE, _BLACK),
)


def _clear(street: Street, x: float) -> bool:
    """True where the kerb is not cut by the cross street."""
    return street.cross is None or abs(x - street.cross[0]) > street.cross[1] + 0.8


def add_poles(solids: SolidList, street: Street, random: np.random.Generator) -> None:
    """Lamp posts at even distances on one side or both, and rows of bollards."""
    colour, height = pick_colour(random, _METAL), random.uniform(5.0, 8.5)
    step, arm = random.uniform(13.0, 26.0), random.uniform(0.8, 2.2)
    sides = [(1, -1), (1,), (-1,)][int(random.choice(3, p=[0.6, 0.2, 0.2]))]
    for side in sides:
        y = side * (street.half_width + random.uniform(0.35, 0.7))
        first = random.uniform(3.0, 9.0)
        for number in range(-3, 8):
            x = first + number * step
            if _clear(street, x):
                _lamp(solids, (x, y, street.kerb), height, arm, side, colour)
    if random.random() < 0.45:
        side = 1 if random.random() < 0.5 else -1
        start, apart = random.uniform(-8.0, 12.0), random.uniform(1.3, 2.2)
        tall, metal = random.uniform(0.7, 1.1), pick_colour(random, _METAL, 0.3)
        for number in range(int(random.integers(4, 10))):
            x = start + number * apart
            if _clear(street, x):
                foot = (x, side * (street.half_width + 0.3), street.kerb)
                solids.frustum(POLE, foot, tall, random.uniform(0.06, 0.09), metal)


def _lamp(
    solids: SolidList,
    foot: tuple[float, float, float],
    height: float,
    arm: float,
    side: int,
    colour: tuple[float, float, float],
) -> None:
    x, y, z = foot
    solids.frustum(POLE, foot, height, 0.1, colour, top=0.055)
    middle = (x, y - side * arm / 2, z + height)
    solids.box(POLE, middle, (0.04, arm / 2, 0.04), colour)
    solids.box(POLE, (x, y - side * arm, z + height - 0.02), (0.14, 0.3, 0.06), shade(colour, 0.8))


def add_signs(solids: SolidList, street: Street, random: np.random.Generator) -> None:
    """Four to nine sign posts, four of them within 3 to 13 m ahead; at times a large board."""
    for number in range(int(random.integers(4, 10))):
        x = random.uniform(3.0, 13.0) if number < 4 else random.uniform(-20.0, 60.0)
        side = -1 if random.random() < 0.65 else 1
        if not _clear(street, x):
            continue
        y = side * (street.half_width + random.uniform(0.35, 0.9))
        # Faces the traffic of its side: against +x on the right, along it on the left.
        ahead = side < 0 or random.random() < 0.6
        yaw = (math.pi if ahead else 0.0) + random.normal(0.0, 0.15)
        _sign(solids, (x, y, street.kerb), yaw, random)
    if random.random() < 0.3:
        x = random.uniform(14.0, 35.0)
        if _clear(street, x):
            _board(solids, street, x, random)


def _sign(
    solids: SolidList,
    foot: tuple[float, float, float],
    yaw: float,
    random: np.random.Generator,
) -> None:
    """One or two plates before a post."""
    x, y, z = foot
    half = random.uniform(0.32, 0.52)
    count = 2 if random.random() < 0.35 else 1
    low = random.uniform(1.9, 2.4)
    solids.frustum(
        POLE, foot, low + (2 * half + 0.06) * count + 0.05, 0.035, pick_colour(random, _METAL)
    )
    front = (x + 0.06 * math.cos(yaw), y + 0.06 * math.sin(yaw))
    for number in range(count):
        shape, rim, inner = _SIGNS[int(random.integers(len(_SIGNS)))]
        centre = (*front, z + low + half + number * (2 * half + 0.06))
        detail = (float(random.integers(1, 2**20)), random.uniform(0.12, 0.3))
        solids.plate(
            TRAFFIC_SIGN,
            centre,
            (half, half),
            rim,
            yaw=yaw,
            shape=shape,
            accent=inner,
            detail=detail,
        )


def _board(solids: SolidList, street: Street, x: float, random: np.random.Generator) -> None:
    """A direction board on two posts beside the road, or on a gantry over it."""
    colour = _BLUE if random.random() < 0.5 else _GREEN
    detail = (float(random.integers(1, 2**20)), 0.08)
    metal = pick_colour(random, _METAL)
    wide, high = random.uniform(1.0, 1.9), random.uniform(0.6, 1.1)
    edge, kerb = street.half_width + 0.5, street.kerb
    if random.random() < 0.5:
        clear = random.uniform(4.8, 5.6)
        for side in (-1, 1):
            solids.frustum(POLE, (x, side * edge, kerb), clear + 1.0, 0.12, metal)
        solids.box(POLE, (x, 0.0, kerb + clear + 0.8), (0.1, edge, 0.1), metal)
        y, z = -street.half_width / 2, kerb + clear + high
    else:
        y, z = -(edge + wide), kerb + 1.6 + high
        for place in (-0.6, 0.6):
            solids.frustum(POLE, (x, y + place * wide, kerb), 1.6 + 2 * high, 0.06, metal)
    solids.plate(
        TRAFFIC_SIGN,
        (x - 0.15, y, z),
        (wide, high),
        colour,
        yaw=math.pi,
        shape=Shape.RECTANGLE,
        accent=_WHITE,
        detail=detail,
    )


def add_trees(solids: SolidList, street: Street, random: np.random.Generator) -> None:
    """Trees along the kerbs at uneven distances, and some behind, in the gaps of the houses."""
    leaves = pick_colour(random, _LEAVES, 0.2)
    often = random.uniform(0.25, 0.9)
    step = random.uniform(7.0, 13.0)
    found = 0
    for side in (1, -1):
        y = side * (street.half_width + random.uniform(0.8, 1.3))
        for number in range(-4, 9):
            x = (number + random.uniform(0.1, 0.9)) * step
            wanted = random.random() < often or (number == 1 and side < 0 and not found)
            if wanted and _clear(street, x):
                found += number in (0, 1, 2)
                _tree(solids, (x, y, street.kerb), leaves, random)
    for _ in range(int(random.integers(2, 8))):
        side = 1 if random.random() < 0.5 else -1
        away = street.half_width + street.pavements[0 if side > 0 else 1]
        y = side * (away + random.uniform(16.0, 26.0))
        x = random.uniform(-40.0, 90.0)
        if _clear(street, x):
            _tree(solids, (x, y, street.kerb), pick_colour(random, _LEAVES), random, 1.5)


def _tree(
    solids: SolidList,
    foot: tuple[float, float, float],
    leaves: tuple[float, float, float],
    random: np.random.Generator,
    scale: float = 1.0,
) -> None:
    """A trunk under a few ellipsoids, or a cone."""
    x, y, z = foot
    leaves = pick_colour(random, (leaves,), 0.2)
    bark, detail = pick_colour(random, _BARK, 0.2), (float(random.integers(1, 2**20)),)
    trunk = scale * random.uniform(1.9, 3.0)
    thick = scale * random.uniform(0.1, 0.22)
    if random.random() < 0.2:
        low, tall = 0.35 * trunk, scale * random.uniform(3.5, 7.0)
        solids.frustum(TREE, foot, low + 0.3, thick, bark)
        solids.frustum(
            TREE,
            (x, y, z + low),
            tall,
            scale * random.uniform(0.9, 1.4),
            shade(leaves, 0.75),
            top=0.05,
            material=Material.LEAVES,
            detail=detail,
        )
        return
    broad, tall = scale * random.uniform(1.1, 2.1), scale * random.uniform(1.0, 1.9)
    solids.frustum(TREE, foot, trunk + 0.5 * tall, thick, bark, top=0.6 * thick)
    crown = z + trunk + 0.75 * tall
    solids.ellipsoid(
        TREE, (x, y, crown), (broad, broad, tall), leaves, material=Material.LEAVES, detail=detail
    )
    for _ in range(int(random.integers(2, 5))):
        angle, lift = random.uniform(0, 2 * math.pi), random.uniform(-0.35, 0.55)
        share = random.uniform(0.45, 0.7)
        centre = (
            x + 0.6 * broad * math.cos(angle),
            y + 0.6 * broad * math.sin(angle),
            crown + lift * tall,
        )
        size = (share * broad, share * broad, share * tall)
        colour = shade(leaves, random.uniform(0.8, 1.2))
        solids.ellipsoid(TREE, centre, size, colour, material=Material.LEAVES, detail=detail)
