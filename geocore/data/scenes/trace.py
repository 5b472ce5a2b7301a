"""What rays meet first, and which of these points the sun reaches.

``closest_reference`` asks every ray about every solid. ``closest`` does the same for tiles of
rays and leaves out the solids whose bounding sphere lies outside a tile's cone, or behind what
the tile has met already: values are the same, bit for bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from geocore.data.scenes.classes import SKY
from geocore.data.scenes.intersect import Axes, enter
from geocore.data.scenes.rays import RayTiles
from geocore.data.scenes.solids import Solids
from geocore.data.scenes.street import FAR, ground, ground_labels, marks
from geocore.data.scenes.world import Scene

__all__ = ["Hits", "closest", "closest_reference", "in_shadow"]

Array = npt.NDArray[Any]
Vector = tuple[float, float, float]

GROUND, NOTHING = -1, -2

_MARGIN = 1e-3  # radians, and metres: far above the rounding of float32 directions
_LIFT = 0.01  # metres that shadow rays start above their surface
_SHADOW_REACH = 60.0  # metres: solids further than that from a point shade it no more


@dataclass(frozen=True)
class Hits:
    """Where rays end: ``distance`` (infinity for the sky), ``solid``, and the ground's ``face``.

    ``solid`` is a row of the scene's solids, ``GROUND`` or ``NOTHING``; ``paint`` is what is
    painted on the ground there. All of the rays' shape.
    """

    distance: Array
    solid: Array
    face: Array
    height: Array
    paint: Array

    def labels(self, solids: Solids) -> Array:
        """The class at each ray's end."""
        labels = np.append(solids.label, [SKY, SKY]).astype(np.uint8)[self.solid]
        on_ground = self.solid == GROUND
        labels[on_ground] = ground_labels(self.face[on_ground], self.paint[on_ground])
        return np.asarray(labels)

    def depth(self) -> Array:
        """Metres along the ray, 0 for the sky."""
        return np.where(np.isfinite(self.distance), self.distance, np.float32(0.0))


def closest_reference(scene: Scene, directions: Axes) -> Hits:
    """The nearest hit of rays from the camera, solid by solid; directions in the world frame."""
    best, solid, face, height = _begin(scene, directions)
    origin = _point(scene.position)
    for row in range(len(scene.solids)):
        t = enter(scene.solids, row, origin, directions)
        closer = t < best
        best, solid = np.where(closer, t, best), np.where(closer, np.int16(row), solid)
    return _end(scene, directions, best, solid, face, height)


def closest(scene: Scene, tiles: RayTiles, directions: Axes, rotation: Array) -> Hits:
    """``closest_reference`` for tiles of rays that ``rotation`` has turned into the world."""
    best, solid, face, height = _begin(scene, directions)
    solids, origin = scene.solids, _point(scene.position)
    away = solids.centre - np.asarray(scene.position)
    distance, bounds = np.linalg.norm(away, axis=1), solids.bounds() + _MARGIN
    toward = away / np.maximum(distance, 1e-9)[:, None]
    angle = np.arccos(np.clip(toward @ (tiles.axis @ rotation.T).T, -1, 1))
    wide = np.arcsin(np.clip(bounds / np.maximum(distance, 1e-9), 0, 1))
    meets = angle <= wide[:, None] + tiles.half + _MARGIN
    meets |= (distance <= bounds)[:, None]
    furthest = best.max(axis=1, initial=0.0)
    near = distance - bounds
    for row in np.argsort(near, kind="stable").tolist():
        chosen = np.flatnonzero(meets[row] & (near[row] <= furthest))
        if not len(chosen):
            continue
        x, y, z = directions
        t = enter(solids, row, origin, (x[chosen], y[chosen], z[chosen]))
        before = best[chosen]
        # Equal distances go to the smaller row, as in the reference.
        closer = (t < before) | ((t == before) & (row < solid[chosen]) & np.isfinite(t))
        best[chosen] = after = np.where(closer, t, before)
        solid[chosen] = np.where(closer, np.int16(row), solid[chosen])
        furthest[chosen] = after.max(axis=1)
    return _end(scene, directions, best, solid, face, height)


def in_shadow(scene: Scene, points: Axes, normals: Axes, lit: Array) -> Array:
    """True where a solid stands between a point and the sun.

    ``points`` and ``normals`` are ``(tiles, n)``; only points where ``lit`` are asked about (a
    surface that faces the sun). Seen along the sun's rays, a solid is a disc: it is tried on the
    tiles whose lit points come near that disc on its far side.
    """
    solids, sun = scene.solids, scene.light.sun
    dark = np.zeros(lit.shape, dtype=bool)
    first, second = _plane(sun)
    lifted = tuple(p + np.float32(_LIFT) * n for p, n in zip(points, normals, strict=True))
    origin: Axes = (lifted[0], lifted[1], lifted[2])
    axes = [_along(origin, axis) for axis in (first, second, sun)]
    low = np.stack([np.where(lit, axis, np.inf).min(axis=1, initial=np.inf) for axis in axes])
    high = np.stack([np.where(lit, axis, -np.inf).max(axis=1, initial=-np.inf) for axis in axes])
    centres = np.stack([solids.centre @ np.asarray(axis) for axis in (first, second, sun)])
    bounds = solids.bounds() + _MARGIN
    direction = _point(sun)
    for row in range(len(solids)):
        centre, bound = centres[:, row, None], bounds[row]
        near = (low - bound <= centre) & (centre <= high + bound)
        # Along the sun's rays the solid lies before the point, within reach.
        ahead = centre[2] + bound >= low[2]
        chosen = np.flatnonzero(
            near[0] & near[1] & ahead & (centre[2] - bound <= high[2] + _SHADOW_REACH)
        )
        if not len(chosen):
            continue
        x, y, z = origin
        t = enter(solids, row, (x[chosen], y[chosen], z[chosen]), direction)
        dark[chosen] |= np.isfinite(t)
    return dark & lit


def _begin(scene: Scene, directions: Axes) -> tuple[Array, Array, Array, Array]:
    best, face, height = ground(scene.street, scene.position, directions)
    solid = np.where(np.isfinite(best), np.int16(GROUND), np.int16(NOTHING))
    return best, solid, face, height


def _end(
    scene: Scene, directions: Axes, best: Array, solid: Array, face: Array, height: Array
) -> Hits:
    best = np.where(best <= FAR, best, np.float32(np.inf))
    solid = np.where(np.isfinite(best), solid, np.int16(NOTHING))
    paint = np.zeros(best.shape, dtype=np.int8)
    on_ground = solid == GROUND
    t = best[on_ground]
    x = np.float32(scene.position[0]) + t * directions[0][on_ground]
    y = np.float32(scene.position[1]) + t * directions[1][on_ground]
    paint[on_ground] = marks(scene.street, x, y)
    return Hits(best, solid, face, height, paint)


def _point(values: Vector) -> Axes:
    x, y, z = (np.asarray(value, dtype=np.float32) for value in values)
    return x, y, z


def _along(points: Axes, axis: Vector) -> Array:
    return points[0] * axis[0] + points[1] * axis[1] + points[2] * axis[2]


def _plane(sun: Vector) -> tuple[Vector, Vector]:
    """Two unit vectors across the sun's direction."""
    x, y, z = sun
    level = math.hypot(x, y)
    if level < 1e-9:
        return (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
    first = (-y / level, x / level, 0.0)
    second = (-z * x / level, -z * y / level, level)
    return first, second
