"""The colours of the solids' surfaces, material by material.

A material is a function of ``Points``, in each solid's own frame. It returns the reflectance
``(n, 3)``, the light that the surface gives off itself, and how much of it is a mirror.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from geocore.data.scenes.intersect import Axes, inside_shape
from geocore.data.scenes.noise import lattice, value_noise, value_noise_3d
from geocore.data.scenes.solids import Material, Shape

__all__ = ["MATERIALS", "Points", "Surface"]

Array = npt.NDArray[Any]

_GLASS, _PAINT = 0.45, 0.12  # how much of a mirror
_LAMP = (1.0, 0.72, 0.36)


@dataclass(frozen=True)
class Points:
    """Surface points of one material, ``(n,)`` each, and a row of the solids' table for each."""

    at: Axes
    normal: Axes
    size: Array
    taper: Array
    colour: Array
    accent: Array
    detail: Array
    windows: float  # share of the windows that are lit

    def rim(self) -> tuple[Array, Array]:
        """The half-sizes of a box at each point's height."""
        up = self.at[2] + self.size[:, 2]
        return (
            np.maximum(self.size[:, 0] - self.taper[:, 0] * up, np.float32(1e-3)),
            np.maximum(self.size[:, 1] - self.taper[:, 1] * up, np.float32(1e-3)),
        )


@dataclass(frozen=True)
class Surface:
    """Reflectance and emission ``(n, 3)``; ``mirror (n,)``; a rough surface's own normal."""

    albedo: Array
    emission: Array | None = None
    mirror: Array | None = None
    normal: Axes | None = None


def _plain(points: Points) -> Surface:
    return Surface(points.colour)


def _facade(points: Points) -> Surface:
    """Floors of windows in plaster or brick; shops below; a plain top."""
    (x, y, z), (nx, ny, nz) = points.at, points.normal
    size, detail = points.size, points.detail
    end = np.abs(nx) > np.abs(ny)
    half = np.where(end, size[:, 1], size[:, 0])
    along, up = np.where(end, y, x) + half, z + size[:, 2]
    floor, step, wide, high, seed, shop = (detail[:, place] for place in range(6))
    seed = seed.astype(np.int32) + (4 * end + 2 * (nx + ny > 0)).astype(np.int32)

    columns = np.floor(2 * half / step)
    across = (along - (half - columns * step / 2)) / step
    storeys = np.floor((2 * size[:, 2] - 0.5) / floor)
    column, storey = np.floor(across), np.floor(up / floor)
    fu, fv = np.abs(across - column - 0.5), up / floor - storey
    on_wall = (across >= 0) & (across < columns) & (storey < storeys) & (nz < 0.5)
    shops = (storey == 0) & (shop > 0)
    half_wide = np.where(shops, 0.45, wide / 2)
    below, above = np.where(shops, 0.06, 0.5 - high / 2), np.where(shops, 0.8, 0.5 + high / 2)
    window = on_wall & (fu < half_wide) & (fv > below) & (fv < above)
    frame = on_wall & ~window & (fu < half_wide + 0.05) & (fv > below - 0.03) & (fv < above + 0.03)

    chance = lattice(column, storey, seed)
    other = lattice(column, storey, seed + 77)
    wall = (
        points.colour
        * (np.float32(0.88) + np.float32(0.24) * value_noise(along * 0.9, up * 0.9, seed))[:, None]
    )
    course = np.where(np.mod(up, np.float32(0.6)) < 0.05, 0.9, 1.0)
    course = np.where(fv < 0.05, 1.12, course)
    course = np.where(up < 0.6, 0.72, course)
    course = np.where(nz > 0.5, 0.6, course)
    albedo = wall * course[:, None].astype(np.float32)
    albedo[frame] *= np.float32(1.35)
    glass = points.accent * (np.float32(0.5) + chance[:, None])
    curtain = chance > 0.78
    glass = np.where(curtain[:, None], np.float32(0.38) + 0.1 * points.colour, glass)
    wares = np.stack([chance, other, lattice(column, storey, seed + 5)], axis=-1)
    glass = np.where(shops[:, None], np.float32(0.06) + np.float32(0.25) * wares, glass)
    band = on_wall & shops & (fv > 0.84) & (fv < 0.96)
    albedo = np.where(window[:, None], glass, albedo)
    albedo = np.where(band[:, None], np.float32(0.1) + np.float32(0.6) * wares, albedo)
    lit = window & (other < np.where(shops, 2 * points.windows, points.windows))
    warm = (
        np.asarray(_LAMP, dtype=np.float32) * (np.float32(0.4) + np.float32(0.5) * chance)[:, None]
    )
    return Surface(
        np.minimum(albedo, np.float32(0.95)),
        np.where(lit[:, None], warm, np.float32(0.0)),
        np.where(window & ~curtain, np.float32(_GLASS) * (np.float32(0.4) + other), 0),
    )


def _roof(points: Points) -> Surface:
    x, y, z = points.at
    tiles = np.where(np.mod(z, np.float32(0.28)) < 0.07, 0.75, 1.0).astype(np.float32)
    patchy = np.float32(0.8) + np.float32(0.4) * value_noise(x * 1.3, y * 1.3 + z, 7)
    return Surface(points.colour * (tiles * patchy)[:, None])


def _bodywork(points: Points) -> Surface:
    """Lamps and a plate at both ends, door gaps at the sides, a dark sill."""
    (x, y, z), (nx, ny, _) = points.at, points.normal
    a, b, c = (points.size[:, axis] for axis in range(3))
    front, end = nx > 0, np.abs(nx) > 0.7
    albedo = points.colour.copy()
    lamp = end & (np.abs(y) > 0.6 * b) & (z > -0.1 * c) & (z < 0.6 * c)
    albedo[lamp & front] = points.accent[lamp & front]
    albedo[lamp & ~front] = (0.5, 0.02, 0.02)
    albedo[end & front & (np.abs(y) < 0.5 * b) & (np.abs(z) < 0.35 * c)] = 0.03
    albedo[end & (np.abs(y) < 0.28) & (np.abs(z + 0.45 * c) < 0.07)] = 0.7
    side = np.abs(ny) > 0.7
    gap = side & (np.abs(np.abs(x + 0.12 * a) - 0.25 * a) < 0.012)
    albedo[gap | (side & (np.abs(x + 0.12 * a) < 0.012))] *= np.float32(0.3)
    albedo[z < -0.72 * c] = 0.04
    glow = np.zeros_like(albedo)
    if points.windows > 0.2:  # dusk: lamps are on
        glow[lamp & front] = (0.9, 0.85, 0.7)
        glow[lamp & ~front] = (0.5, 0.02, 0.02)
    return Surface(albedo, glow, np.full(len(x), _PAINT, dtype=np.float32))


def _cabin(points: Points) -> Surface:
    """Glass all round between pillars, under a painted roof.

    ``detail``: the height where the glass begins, 0 to 1; where it begins at the sides from the
    rear, -1 to 1; metres from pillar to pillar.
    """
    (x, y, z), (nx, _, nz) = points.at, points.normal
    rim_x, rim_y = points.rim()
    low, rear, step = (points.detail[:, place] for place in range(3))
    up = (z + points.size[:, 2]) / (2 * points.size[:, 2])
    end = np.abs(nx) > np.sqrt(np.maximum(0, 1 - nx * nx - nz * nz))
    place = np.where(end, y / rim_y, x / rim_x)
    pillar = ~end & (np.mod(x + 0.05, np.maximum(step, np.float32(0.1))) < 0.07)
    glass = (up > low) & (up < 0.9) & (np.abs(place) < 0.9) & ~pillar
    glass &= end | (place > rear)
    glass &= (nz < 0.9) & (nz > -0.9)
    mirror = np.where(glass, np.float32(_GLASS), np.float32(_PAINT))
    return Surface(np.where(glass[:, None], points.accent, points.colour), None, mirror)


def _wheel(points: Points) -> Surface:
    x, _, z = points.at
    radius = np.sqrt(x * x + z * z) / points.size[:, 0]
    spokes = np.mod(np.arctan2(z, x), np.float32(np.pi / 2.5)) < 0.8
    hub = (radius < 0.62) & (spokes | (radius < 0.2))
    return Surface(np.where(hub[:, None], points.accent, points.colour))


def _head(points: Points) -> Surface:
    x, _, z = points.at
    hair = (z > 0.4 * points.size[:, 2]) | (
        (x < -0.2 * points.size[:, 0]) & (z > -0.5 * points.size[:, 2])
    )
    return Surface(np.where(hair[:, None], points.accent, points.colour))


def _leaves(points: Points) -> Surface:
    """Tufts: noise in space moves the colour and turns the normal."""
    x, y, z = points.at
    seed = points.detail[:, 0].astype(np.int64)
    coarse = value_noise_3d(2.7 * x, 2.7 * y, 2.7 * z, seed)
    fine = value_noise_3d(8.0 * x, 8.0 * y, 8.0 * z, seed + 1)
    bend = np.float32(1.3)
    nx, ny, nz = points.normal
    rough = (
        nx + bend * (coarse - np.float32(0.5)),
        ny + bend * (fine - np.float32(0.5)),
        nz + bend * (np.float32(1.0) - coarse - fine) * np.float32(0.5),
    )
    tone = np.float32(0.3) + np.float32(0.7) * coarse + np.float32(0.7) * fine
    return Surface(points.colour * tone[:, None], normal=rough)


def _sign(points: Points) -> Surface:
    """A rim round a ground with a symbol, or lines of writing; grey from behind.

    ``detail``: the shape, a seed of the symbol, the rim's share.
    """
    _, y, z = points.at
    v, w = y / points.size[:, 1], z / points.size[:, 2]
    shape, seed, rim = (points.detail[:, place] for place in range(3))
    albedo = points.colour.copy()
    symbol = np.mod(seed, 4).astype(np.int64)
    for outline in Shape:
        chosen = shape == outline
        if not chosen.any():
            continue
        # Triangles shrink towards their own middle.
        middle = {Shape.TRIANGLE: -1 / 3, Shape.TRIANGLE_DOWN: 1 / 3}.get(outline, 0.0)
        shrink = 1 - rim * (1.5 if middle else 1.0)
        inner = chosen & inside_shape(outline, v / shrink, (w - middle) / shrink + middle)
        albedo[inner] = points.accent[inner]
        bar = (np.abs(w - middle) < 0.14) & (np.abs(v) < 0.42)
        post = (np.abs(v) < 0.1) & (np.abs(w - middle) < 0.38)
        blob = v * v + (w - middle) ** 2 < 0.09
        ink = np.choose(symbol, [bar, post, blob, bar | post])
        board = chosen & (points.size[:, 1] > 0.8)
        rows = np.mod(w * 2.5 + 0.5, 1.0) < 0.45
        letters = lattice(np.floor(v * 14), np.floor(w * 2.5 + 0.5), seed.astype(np.int32)) > 0.35
        ink = np.where(board, rows & letters & (np.abs(v) < 0.85), ink)
        bright = albedo.mean(axis=1) > 0.45
        written = inner & ink
        albedo[written & bright] = 0.03
        albedo[written & ~bright] = 0.85
        # A board's ground is its own colour: its accent is what is written on it.
        albedo[board & inner & ~ink] = points.colour[board & inner & ~ink]
        albedo[board & written] = points.accent[board & written]
    behind = points.normal[0] < 0
    albedo[behind] = 0.28
    glow = np.where(behind[:, None], np.float32(0), np.float32(0.12) * albedo)
    return Surface(albedo, glow)


MATERIALS: Mapping[int, Callable[[Points], Surface]] = {
    Material.PLAIN: _plain,
    Material.FACADE: _facade,
    Material.ROOF: _roof,
    Material.BODYWORK: _bodywork,
    Material.CABIN: _cabin,
    Material.WHEEL: _wheel,
    Material.HEAD: _head,
    Material.LEAVES: _leaves,
    Material.SIGN: _sign,
}
