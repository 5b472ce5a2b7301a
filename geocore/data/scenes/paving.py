"""The colour of the ground: asphalt with paint, slabs, kerb stones."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from geocore.data.scenes.noise import lattice, value_noise
from geocore.data.scenes.seeded import part, pick_colour
from geocore.data.scenes.street import KERB_FACE, NO_MARK, PAVEMENT_TOP, YELLOW, Street

__all__ = ["ground_colour"]

Array = npt.NDArray[Any]

_ASPHALT = ((0.10, 0.10, 0.105), (0.14, 0.14, 0.14), (0.075, 0.075, 0.08), (0.17, 0.165, 0.155))
_SLABS = ((0.30, 0.29, 0.27), (0.38, 0.36, 0.33), (0.25, 0.22, 0.20), (0.33, 0.24, 0.19))
_WHITE, _YELLOW = (0.72, 0.72, 0.70), (0.66, 0.45, 0.06)


def ground_colour(
    street: Street, seed: int, x: Array, y: Array, face: Array, paint: Array
) -> Array:
    """Reflectance ``(n, 3)`` of ground points."""
    random = part(seed, "paving")
    asphalt = np.asarray(pick_colour(random, _ASPHALT), dtype=np.float32)
    slabs = np.asarray(pick_colour(random, _SLABS), dtype=np.float32)
    size, wear = float(random.uniform(0.5, 1.2)), float(random.uniform(0.1, 0.45))
    number = int(random.integers(1, 2**20))

    rough = value_noise(x * 5, y * 5, number)
    broad = value_noise(x * 0.45, y * 0.45, number + 1)
    tone = np.float32(0.72) + np.float32(0.3) * rough + np.float32(0.26) * broad
    mended = value_noise(x * 0.14, y * 0.3, number + 2) > 0.74
    tone = np.where(mended, tone * np.float32(0.72), tone)
    colour = asphalt * tone[:, None]

    painted = paint != NO_MARK
    fresh = np.where(
        (paint == YELLOW)[:, None], np.asarray(_YELLOW, np.float32), np.asarray(_WHITE, np.float32)
    )
    left = np.clip(np.float32(1.0) - wear * (rough + broad), 0.25, 1)[:, None]
    colour = np.where(painted[:, None], colour + left * (fresh - colour), colour)

    beside = np.abs(y) - street.half_width
    if street.cross is not None:
        beside = np.minimum(beside, np.abs(x - street.cross[0]) - street.cross[1])
    i, j = np.floor(x / size), np.floor(y / size)
    joint = (x / size - i < 0.05 / size) | (y / size - j < 0.05 / size)
    slab = np.float32(0.86) + np.float32(0.16) * lattice(i, j, number) + np.float32(0.14) * rough
    slab = np.where(joint, slab * np.float32(0.7), slab)
    yard = np.where(y > 0, street.pavements[0], street.pavements[1])
    slab = np.where(beside > yard, slab * np.float32(0.75), slab)
    stone = (
        np.asarray((0.42, 0.41, 0.39), np.float32)
        * (np.float32(0.8) + np.float32(0.3) * rough)[:, None]
    )
    top = np.where((beside < 0.16)[:, None], stone, slabs * slab[:, None])
    colour = np.where((face == PAVEMENT_TOP)[:, None], top, colour)
    return np.where((face == KERB_FACE)[:, None], stone * np.float32(0.85), colour).astype(
        np.float32
    )
