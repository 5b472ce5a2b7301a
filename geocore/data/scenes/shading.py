"""What a ray sees at its end: reflectance, sun, sky, shadow, mirror, haze."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from geocore.data.scenes.intersect import Axes, surface_normal
from geocore.data.scenes.light import environment, sky
from geocore.data.scenes.paving import ground_colour
from geocore.data.scenes.solids import Kind, Material
from geocore.data.scenes.street import KERB_FACE
from geocore.data.scenes.surfaces import MATERIALS, Points
from geocore.data.scenes.trace import GROUND, NOTHING, Hits, in_shadow
from geocore.data.scenes.world import Scene

__all__ = ["shade"]

Array = npt.NDArray[Any]


def shade(scene: Scene, hits: Hits, directions: Axes) -> Array:
    """Linear light along rays ``(tiles, rays)`` -> ``(tiles, rays, 3)`` float32.

    ``albedo (sun max(0, n . s) visible + ambient (0.6 + 0.4 n_z)) + emission``, mixed with what
    the surface mirrors and with the haze before it.
    """
    shape = hits.distance.shape
    light = scene.light
    albedo = np.zeros((*shape, 3), dtype=np.float32)
    emission, mirror = np.zeros_like(albedo), np.zeros(shape, dtype=np.float32)
    distance = hits.depth()
    x, y, z = (
        np.float32(start) + distance * part
        for start, part in zip(scene.position, directions, strict=True)
    )
    normals = _Normals(shape)
    on_ground = hits.solid == GROUND
    albedo[on_ground] = ground_colour(
        scene.street, scene.seed, x[on_ground], y[on_ground], hits.face[on_ground],
        hits.paint[on_ground],
    )  # fmt: skip
    kerb = on_ground & (hits.face == KERB_FACE)
    normals.put(kerb, (-directions[0][kerb], -directions[1][kerb], 0 * directions[2][kerb]))
    _solids(scene, hits, (x, y, z), directions, normals, albedo, emission, mirror)

    sun = light.sun
    facing = normals.x * sun[0] + normals.y * sun[1] + normals.z * sun[2]
    lit = (facing > 0) & (hits.solid != NOTHING)
    dark = in_shadow(scene, (x, y, z), (normals.x, normals.y, normals.z), lit)
    direct = np.where(lit & ~dark, facing, np.float32(0.0))
    around = np.float32(0.6) + np.float32(0.4) * normals.z
    colour = emission
    for channel in range(3):
        colour[..., channel] += albedo[..., channel] * (
            np.float32(light.sunlight[channel]) * direct
            + np.float32(light.ambient[channel]) * around
        )
    _mirrored(scene, colour, mirror, normals, directions)
    haze = np.float32(1.0) - np.exp(-distance * np.float32(1 / light.haze))
    colour += haze[..., None] * (np.asarray(light.horizon, dtype=np.float32) - colour)
    above = hits.solid == NOTHING
    colour[above] = sky(light, (directions[0][above], directions[1][above], directions[2][above]))
    return colour


class _Normals:
    """Unit normals of the world frame; the ground's where nothing else is put."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.x, self.y = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
        self.z = np.ones(shape, dtype=np.float32)

    def put(self, where: Array | tuple[Array, ...], normal: Axes) -> None:
        x, y, z = normal
        length = np.maximum(np.sqrt(x * x + y * y + z * z), np.float32(1e-12))
        self.x[where], self.y[where], self.z[where] = x / length, y / length, z / length


def _solids(
    scene: Scene,
    hits: Hits,
    points: Axes,
    directions: Axes,
    normals: _Normals,
    albedo: Array,
    emission: Array,
    mirror: Array,
) -> None:
    """Fills in normals and surfaces of the points that lie on solids."""
    where = np.nonzero(hits.solid >= 0)
    row = hits.solid[where].astype(np.int64)
    table = scene.solids
    cos, sin = (f(table.yaw).astype(np.float32)[row] for f in (np.cos, np.sin))
    centre = table.centre.astype(np.float32)[row]
    x, y, z = (part[where] - centre[:, axis] for axis, part in enumerate(points))
    own = (cos * x + sin * y, cos * y - sin * x, z)
    dx, dy = directions[0][where], directions[1][where]
    toward = (cos * dx + sin * dy, cos * dy - sin * dx, directions[2][where])
    size, taper = (part.astype(np.float32)[row] for part in (table.size, table.taper))
    nx, ny, nz = (np.zeros(len(row), dtype=np.float32) for _ in range(3))
    kinds = table.kind[row]
    for kind in Kind:
        chosen = np.flatnonzero(kinds == kind)
        found = surface_normal(
            kind,
            size[chosen],
            taper[chosen],
            (own[0][chosen], own[1][chosen], own[2][chosen]),
            (toward[0][chosen], toward[1][chosen], toward[2][chosen]),
        )
        nx[chosen], ny[chosen], nz[chosen] = found
    materials = table.material[row]
    colour, accent, detail = (
        part.astype(np.float32) for part in (table.colour, table.accent, table.detail)
    )
    for material in Material:
        chosen = np.flatnonzero(materials == material)
        if not len(chosen):
            continue
        rows = row[chosen]
        surface = MATERIALS[material](
            Points(
                at=(own[0][chosen], own[1][chosen], own[2][chosen]),
                normal=(nx[chosen], ny[chosen], nz[chosen]),
                size=size[chosen],
                taper=taper[chosen],
                colour=colour[rows],
                accent=accent[rows],
                detail=detail[rows],
                windows=scene.light.windows,
            )
        )
        place = tuple(axis[chosen] for axis in where)
        albedo[place] = surface.albedo
        if surface.emission is not None:
            emission[place] = surface.emission
        if surface.mirror is not None:
            mirror[place] = surface.mirror
        if surface.normal is not None:
            nx[chosen], ny[chosen], nz[chosen] = surface.normal
    normals.put(where, (cos * nx - sin * ny, sin * nx + cos * ny, nz))


def _mirrored(
    scene: Scene, colour: Array, mirror: Array, normals: _Normals, directions: Axes
) -> None:
    where = np.nonzero(mirror > 0)
    nx, ny, nz = (part[where] for part in (normals.x, normals.y, normals.z))
    dx, dy, dz = (part[where] for part in directions)
    across = -(nx * dx + ny * dy + nz * dz)
    # Schlick's rise towards grazing rays.
    share = mirror[where] * (np.float32(0.4) + np.float32(0.6) * np.clip(1 - across, 0, 1) ** 3)
    seen = environment(scene.light, dz + 2 * across * nz)
    colour[where] += share[:, None] * (seen - colour[where])
