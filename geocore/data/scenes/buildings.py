"""Rows of houses on both sides, houses behind their gaps, and what closes the street."""

from __future__ import annotations

import numpy as np

from geocore.data.scenes.classes import BUILDING
from geocore.data.scenes.seeded import pick_colour
from geocore.data.scenes.solids import Material, SolidList
from geocore.data.scenes.street import Street

__all__ = ["add_buildings"]

_WALLS = (
    (0.55, 0.50, 0.42),
    (0.42, 0.20, 0.13),
    (0.60, 0.48, 0.30),
    (0.38, 0.38, 0.38),
    (0.66, 0.64, 0.60),
    (0.32, 0.24, 0.18),
    (0.55, 0.36, 0.26),
    (0.28, 0.33, 0.38),
    (0.50, 0.52, 0.40),
)
_ROOFS = ((0.26, 0.09, 0.06), (0.12, 0.12, 0.13), (0.20, 0.14, 0.11), (0.16, 0.18, 0.22))
_GLASS = ((0.05, 0.07, 0.09), (0.09, 0.10, 0.10), (0.04, 0.05, 0.05))


def add_buildings(solids: SolidList, street: Street, random: np.random.Generator) -> None:
    """Houses from 70 m behind to 150 m ahead, and a block across the end half of the time."""
    usual = random.uniform(7.0, 20.0)
    gaps = random.uniform(0.1, 0.45)
    for side in (1, -1):
        front = street.half_width + street.pavements[0 if side > 0 else 1]
        _row(solids, street, random, side, front, usual, gaps)
        _row(solids, street, random, side, front + random.uniform(28.0, 45.0), usual + 5.0, 0.25)
    if random.random() < 0.5:
        x, half = random.uniform(75.0, 150.0), random.uniform(15.0, 40.0)
        _house(solids, random, (x, random.uniform(-8, 8)), (6.0, half), random.uniform(8, 26))


def _row(
    solids: SolidList,
    street: Street,
    random: np.random.Generator,
    side: int,
    front: float,
    usual: float,
    gaps: float,
) -> None:
    x = -70.0 - random.uniform(0.0, 15.0)
    while x < 150.0:
        half = random.uniform(3.5, 11.0)
        low, high = x, x + 2 * half
        if street.cross is not None:
            middle, wide = street.cross[0], street.cross[1] + 2.0
            if low < middle + wide and high > middle - wide:
                half = (middle - wide - low) / 2
                x = middle + wide
                if half < 2.0:
                    continue
                high = low + 2 * half
        deep = random.uniform(4.0, 8.0)
        set_back = random.choice([0.0, 0.0, random.uniform(0.5, 4.0)])
        y = side * (front + set_back + deep)
        height = float(np.clip(usual * random.uniform(0.55, 1.5), 3.2, 40.0))
        _house(solids, random, ((low + high) / 2, y), (half, deep), height)
        x = max(x, high)
        if random.random() < gaps:
            x += random.uniform(2.0, 12.0)


def _house(
    solids: SolidList,
    random: np.random.Generator,
    place: tuple[float, float],
    half: tuple[float, float],
    height: float,
) -> None:
    """Walls with windows, and a flat, gabled or hipped roof."""
    detail = (
        random.uniform(2.9, 3.8),  # a floor
        random.uniform(1.8, 3.6),  # from window to window
        random.uniform(0.4, 0.75),  # the windows' share of that
        random.uniform(0.45, 0.75),  # of a floor
        float(random.integers(1, 2**20)),
        float(random.random() < 0.35),  # shops on the ground floor
    )
    solids.box(
        BUILDING,
        (*place, height / 2),
        (*half, height / 2),
        pick_colour(random, _WALLS, 0.25),
        material=Material.FACADE,
        accent=pick_colour(random, _GLASS, 0.3),
        detail=detail,
    )
    colour = pick_colour(random, _ROOFS, 0.2)
    x, y = place
    kind = random.choice(["flat", "gable", "hip"], p=[0.45, 0.4, 0.15])
    if kind == "flat" or height > 22 or min(half) < 2.5:
        rim = 0.25
        size = (half[0] + 0.15, half[1] + 0.15, rim)
        solids.box(BUILDING, (x, y, height + rim), size, colour, material=Material.ROOF)
        return
    rise = random.uniform(1.2, 3.5)
    size = (half[0] + 0.3, half[1] + 0.3, rise / 2)
    steep = size[1] / rise
    taper = (0.0, steep) if kind == "gable" else (min(steep, size[0] / rise * 0.95), steep)
    solids.box(
        BUILDING, (x, y, height + rise / 2), size, colour, taper=taper, material=Material.ROOF
    )
