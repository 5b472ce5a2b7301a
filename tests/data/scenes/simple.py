"""Scenes whose truth is known: one solid, or none, on a plain street under a plain light."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from geocore.data.scenes.intersect import Axes
from geocore.data.scenes.light import Light
from geocore.data.scenes.solids import Kind, Shape, SolidList, Solids
from geocore.data.scenes.street import Street
from geocore.data.scenes.world import Scene

Array = npt.NDArray[Any]

STREET = Street(4.0, 0.12, (3.0, 3.0), (), (), (), None)
CROSSED = Street(4.0, 0.12, (3.0, 3.0), (), (), (), (12.0, 3.0))
LIGHT = Light(
    sun=(0.0, 0.6, 0.8),
    sunlight=(0.5, 0.4, 0.3),
    ambient=(0.2, 0.3, 0.4),
    zenith=(0.1, 0.2, 0.5),
    horizon=(0.6, 0.7, 0.8),
    clouds=0.0,
    cloud_seed=1,
    haze=1e9,
    windows=0.0,
    exposure=1.0,
    tint=(1.0, 1.0, 1.0),
    noise=0.0,
)


def simple_scene(solids: SolidList | None = None, street: Street = STREET) -> Scene:
    table = (solids or SolidList()).table()
    return Scene(0, street, table, LIGHT, (0.0, 0.0, 1.5), 0.0)


def random_rays(count: int, seed: int, about: float = 4.0) -> tuple[Axes, Axes]:
    """Rays in float32 from a shell about the origin, most of them towards it."""
    random = np.random.default_rng(seed)
    start = random.normal(size=(count, 3))
    start *= (about * random.uniform(1.5, 3.0, count) / np.linalg.norm(start, axis=1))[:, None]
    direction = random.normal(scale=about / 3, size=(count, 3)) - start
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    origin, along = start.astype(np.float32).T, direction.astype(np.float32).T
    return (origin[0], origin[1], origin[2]), (along[0], along[1], along[2])


def excess(solids: Solids, row: int, points: Array) -> Array:
    """Below 0 inside a solid, 0 on its surface, above 0 outside: its definition, in float64.

    ``points (3, ...)`` in the world frame. A plate has no inside: the distance to its plane where
    its outline holds the point, and infinity elsewhere.
    """
    shift = points - solids.centre[row].reshape(3, *[1] * (points.ndim - 1))
    cos, sin = np.cos(solids.yaw[row]), np.sin(solids.yaw[row])
    x, y, z = cos * shift[0] + sin * shift[1], cos * shift[1] - sin * shift[0], shift[2]
    a, b, c = solids.size[row]
    p, q = solids.taper[row]
    kind = solids.kind[row]
    if kind == Kind.BOX:
        sides = [np.abs(x) - a + p * (z + c), np.abs(y) - b + q * (z + c), np.abs(z) - c]
        return np.asarray(np.max(sides, axis=0))
    if kind == Kind.FRUSTUM:
        return np.asarray(np.maximum(np.hypot(x, y) - a + p * (z + c), np.abs(z) - c))
    if kind == Kind.ELLIPSOID:
        return np.asarray(np.sqrt((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2) - 1)
    inside = (np.abs(y) <= b) & (np.abs(z) <= c)
    shape = Shape(int(solids.detail[row, 0]))
    if shape == Shape.DISC:
        inside = (y / b) ** 2 + (z / c) ** 2 <= 1
    if shape == Shape.TRIANGLE:  # a point above, a base below
        inside = (z >= -c) & (np.abs(y) / b <= (c - z) / (2 * c))
    return np.where(inside, np.abs(x), np.inf)
