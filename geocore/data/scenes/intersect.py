"""Where a ray enters a solid: the first ``t > 0`` with ``origin + t direction`` on its surface.

Points and directions are triples of float32 arrays that broadcast against each other, in the
world frame; directions have unit length, so ``t`` is a distance in metres. A ray that misses, or
starts inside, gets infinity. The functions work element by element: the value of a ray does not
depend on which others are computed with it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from geocore.data.scenes.solids import Kind, Shape, Solids

__all__ = ["Axes", "enter", "inside_shape", "local", "surface_normal"]

Array = npt.NDArray[Any]
Axes = tuple[Array, Array, Array]


def enter(solids: Solids, row: int, origin: Axes, direction: Axes) -> Array:
    """Distances to solid ``row`` along rays; infinity where they miss."""
    own_origin, own_direction = local(solids, row, origin, direction)
    a, b, c = solids.size[row].tolist()
    p, q = solids.taper[row].tolist()
    kind = int(solids.kind[row])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if kind == Kind.BOX:
            return _box(own_origin, own_direction, (a, b, c), (p, q))
        if kind == Kind.FRUSTUM:
            return _frustum(own_origin, own_direction, a, c, p)
        if kind == Kind.ELLIPSOID:
            return _ellipsoid(own_origin, own_direction, (a, b, c))
        shape = Shape(int(solids.detail[row, 0]))
        return _plate(own_origin, own_direction, (b, c), shape)


def local(solids: Solids, row: int, origin: Axes, direction: Axes) -> tuple[Axes, Axes]:
    """Rays in the solid's own frame: shifted to its centre and turned by ``-yaw`` about z."""
    x, y, z = solids.centre[row].tolist()
    yaw = float(solids.yaw[row])
    moved = (origin[0] - x, origin[1] - y, origin[2] - z)
    if yaw == 0.0:
        return moved, direction
    cos, sin = math.cos(yaw), math.sin(yaw)
    return _turned(moved, cos, sin), _turned(direction, cos, sin)


def _turned(vector: Axes, cos: float, sin: float) -> Axes:
    x, y, z = vector
    return cos * x + sin * y, cos * y - sin * x, z


def _box(origin: Axes, direction: Axes, size: tuple[float, ...], taper: tuple[float, ...]) -> Array:
    """The last entry into the slabs, if it comes before the first exit."""
    near, far = _slab(origin[2], direction[2], size[2])
    for axis in (0, 1):
        if taper[axis] == 0.0:
            entry, leave = _slab(origin[axis], direction[axis], size[axis])
            near, far = np.maximum(near, entry), np.minimum(far, leave)
            continue
        # The two planes  +-x + taper (z + c) - a <= 0.
        lean = taper[axis] * (origin[2] + size[2]) - size[axis]
        slope = taper[axis] * direction[2]
        for sign in (1.0, -1.0):
            height, rate = sign * origin[axis] + lean, sign * direction[axis] + slope
            t = -height / rate
            near = np.maximum(near, np.where(rate < 0, t, -np.inf))
            far = np.minimum(far, np.where(rate > 0, t, np.inf))
            far = np.where((rate == 0) & (height > 0), -np.inf, far)
    return np.where((near <= far) & (near > 0), near, np.float32(np.inf))


def _slab(origin: Array, direction: Array, half: float) -> tuple[Array, Array]:
    """Entry into ``|x| <= half`` and exit from it."""
    inverse = np.float32(1.0) / direction
    low, high = (-half - origin) * inverse, (half - origin) * inverse
    return np.minimum(low, high), np.maximum(low, high)


def _frustum(origin: Axes, direction: Axes, radius: float, half: float, slope: float) -> Array:
    """The side's quadratic ``A t^2 + 2 B t + C = 0``, then the two lids.

    The discriminant is written with the cross product of the horizontal parts: ``B^2 - A C``
    itself loses all digits for a thin post far away.
    """
    (x, y, z), (dx, dy, dz) = origin, direction
    level = dx * dx + dy * dy
    along = x * dx + y * dy
    cross = x * dy - y * dx
    k = radius - slope * (z + half)
    if slope == 0.0:
        first, linear = level, along
        discriminant = level * (radius * radius) - cross * cross
    else:
        fall = slope * dz
        away = x * x + y * y
        first, linear = level - fall * fall, along + fall * k
        discriminant = level * k * k - cross * cross + fall * (2 * along * k + fall * away)
    root = np.sqrt(np.maximum(discriminant, np.float32(0.0)))
    best = np.full(np.broadcast(linear, z).shape, np.inf, dtype=np.float32)
    if slope == 0.0:
        ends = [(-root - linear) / first, (root - linear) / first]
    else:
        # A ray along the side has A near 0: one of the roots as C over the other's numerator.
        sum_ = -linear - np.copysign(root, linear)
        ends = [sum_ / first, (away - k * k) / sum_]
    for t in ends:
        height = z + t * dz
        on = (discriminant >= 0) & (t > 0) & (np.abs(height) <= half)
        if slope != 0.0:
            on &= radius - slope * (height + half) >= 0
        best = np.where(on, np.minimum(best, t), best)
    for lid, reach in ((-half, radius), (half, radius - 2 * half * slope)):
        t = (lid - z) / dz
        across, along_y = x + t * dx, y + t * dy
        on = (t > 0) & (across * across + along_y * along_y <= reach * reach)
        best = np.where(on, np.minimum(best, t), best)
    # A ray that starts inside meets the far side alone: that is no entry.
    inside = (np.abs(z) < half) & (x * x + y * y < k * k) & (k > 0)
    return np.where(inside, np.float32(np.inf), best)


def _ellipsoid(origin: Axes, direction: Axes, size: tuple[float, ...]) -> Array:
    """The unit sphere in scaled coordinates, by the ray's point nearest to the centre."""
    x, y, z = (part / scale for part, scale in zip(origin, size, strict=True))
    dx, dy, dz = (part / scale for part, scale in zip(direction, size, strict=True))
    square = dx * dx + dy * dy + dz * dz
    middle = -(x * dx + y * dy + z * dz) / square
    px, py, pz = x + middle * dx, y + middle * dy, z + middle * dz
    left = np.float32(1.0) - (px * px + py * py + pz * pz)
    t = middle - np.sqrt(np.maximum(left, np.float32(0.0)) / square)
    return np.where((left >= 0) & (t > 0), t, np.float32(np.inf))


def _plate(origin: Axes, direction: Axes, size: tuple[float, float], shape: Shape) -> Array:
    t = -origin[0] / direction[0]
    y = (origin[1] + t * direction[1]) / size[0]
    z = (origin[2] + t * direction[2]) / size[1]
    return np.where((t > 0) & inside_shape(shape, y, z), t, np.float32(np.inf))


def inside_shape(shape: int, y: Array, z: Array) -> Array:
    """True inside a plate's outline, in coordinates where the plate is ``|y|, |z| <= 1``."""
    wide, high = np.abs(y), np.abs(z)
    within = (wide <= 1) & (high <= 1)
    if shape == Shape.DISC:
        return np.asarray(y * y + z * z <= 1)
    if shape == Shape.TRIANGLE:
        return np.asarray(within & (2 * wide <= 1 - z))
    if shape == Shape.TRIANGLE_DOWN:
        return np.asarray(within & (2 * wide <= 1 + z))
    if shape == Shape.DIAMOND:
        return np.asarray(wide + high <= 1)
    if shape == Shape.OCTAGON:
        return np.asarray(within & (wide + high <= math.sqrt(2)))
    return np.asarray(within)


def surface_normal(
    kind: int, size: Array, taper: Array, point: Axes, towards: Axes
) -> tuple[Array, Array, Array]:
    """Unit outward normals at surface points of one kind, all in the solids' own frames.

    ``size (n, 3)`` and ``taper (n, 2)`` are those of each point's solid. A plate has two faces:
    ``towards`` is the ray's direction, and the face is the one that it sees.
    """
    x, y, z = point
    a, b, c = (size[:, axis] for axis in range(3))
    zero = np.zeros_like(x)
    if kind == Kind.ELLIPSOID:
        normal = (x / (a * a), y / (b * b), z / (c * c))
    elif kind == Kind.PLATE:
        normal = (np.where(towards[0] > 0, np.float32(-1.0), np.float32(1.0)), zero, zero)
    elif kind == Kind.FRUSTUM:
        slope = taper[:, 0]
        radius = a - slope * (z + c)
        away = np.sqrt(x * x + y * y)
        lid = (c - np.abs(z)) < (radius - away) * np.float32(0.5)
        side = np.maximum(away, np.float32(1e-6))
        normal = (
            np.where(lid, zero, x / side),
            np.where(lid, zero, y / side),
            np.where(lid, np.sign(z), slope),
        )
    else:
        p, q = taper[:, 0], taper[:, 1]
        # How far inside each pair of planes a surface point is: zero for its own face.
        depth = np.stack(
            [
                (a - p * (z + c) - np.abs(x)) / np.sqrt(1 + p * p),
                (b - q * (z + c) - np.abs(y)) / np.sqrt(1 + q * q),
                c - np.abs(z),
            ]
        )
        face = depth.argmin(axis=0)
        normal = (
            np.where(face == 0, np.sign(x), zero),
            np.where(face == 1, np.sign(y), zero),
            np.where(face == 0, p, np.where(face == 1, q, np.sign(z))),
        )
    length = np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2)
    length = np.maximum(length, np.float32(1e-12))
    return normal[0] / length, normal[1] / length, normal[2] / length
