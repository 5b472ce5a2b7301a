"""The rays of a camera, in square tiles of pixels with a cone about each."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from geocore.camera.lens import RadialCamera, valid_pixels

__all__ = ["RayTiles", "ray_tiles", "rotate"]

Array = npt.NDArray[Any]

_SIDE = 8  # pixels: small enough for tight cones, large enough to work in bulk
_JITTER = 20_001  # of the sub-pixel positions, which are the same for every scene of a camera


@dataclass(frozen=True)
class RayTiles:
    """Unit directions in the camera frame, ``(3, tiles, rays)`` float64, ``samples`` a pixel.

    ``axis (tiles, 3)`` and ``half (tiles,)`` are cones that hold a tile's rays, half-angles in
    radians. A ray whose point lies outside the lens, or beyond the image's edge in the last
    tiles, is a copy of another of its tile, and ``image`` leaves it out. Tiles outside the lens
    are not there at all. ``image(values)`` puts ``(tiles, rays / samples, ...)`` back as pixels.
    """

    directions: Array
    axis: Array
    half: Array
    samples: int
    height: int
    width: int
    pixel: Array  # (tiles, side^2): the pixel that a place of a tile is, or -1

    def image(self, values: Array, fill: Any = 0) -> Array:
        """Values a tile and a place ``(tiles, side^2, ...)`` -> ``(height, width, ...)``."""
        shape = (self.height * self.width, *values.shape[2:])
        found = np.full(shape, fill, dtype=values.dtype)
        inside = self.pixel >= 0
        found[self.pixel[inside]] = values[inside]
        return found.reshape(self.height, self.width, *values.shape[2:])


def rotate(matrix: Array, directions: Array) -> tuple[Array, Array, Array]:
    """``R d`` for ``directions (3, ...)``, as three float32 arrays.

    Written out in float64, so that a ray's bits do not depend on how many others there are.
    """
    x, y, z = directions
    rows = [row.tolist() for row in np.asarray(matrix, dtype=np.float64)]
    first, second, third = ((a * x + b * y + c * z).astype(np.float32) for a, b, c in rows)
    return first, second, third


@functools.lru_cache(maxsize=8)
def ray_tiles(camera: RadialCamera, samples: int) -> RayTiles:
    """One ray through each pixel's centre, or ``samples = n^2`` jittered ones.

    Jittered: one at a random place in each cell of an ``n x n`` grid on the pixel.
    """
    root = math.isqrt(samples)
    if samples < 1 or root * root != samples:
        raise ValueError(f"samples is {samples}; expected 1, 4, 9, ...")
    height, width = camera.height, camera.width
    v, u = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    places = np.stack([u, v]).astype(np.float64)[..., None]
    if samples > 1:
        random = np.random.Generator(np.random.PCG64(_JITTER))
        cell = np.stack(np.divmod(np.arange(samples), root))[:, None, None]
        jitter = random.random((2, height, width, samples))
        places = places + (cell + jitter) / root - 0.5
    valid = valid_pixels(camera).numpy()
    points = torch.from_numpy(places)
    seen = camera.sees(points[0], points[1]).numpy()
    # A sample off the lens in a pixel that is on it: its centre instead.
    places = np.where(seen, places, np.stack([u, v])[..., None])
    points = torch.from_numpy(places)
    directions = camera.unproject(points[0], points[1]).numpy()
    return _tiled(directions, valid, samples)


def _tiled(directions: Array, valid: Array, samples: int) -> RayTiles:
    height, width = valid.shape
    down, across = -(-height // _SIDE), -(-width // _SIDE)
    pixel = np.full((down * _SIDE, across * _SIDE), -1)
    pixel[:height, :width] = np.where(valid, np.arange(height * width).reshape(valid.shape), -1)
    pixel = pixel.reshape(down, _SIDE, across, _SIDE).swapaxes(1, 2).reshape(-1, _SIDE * _SIDE)
    pixel = pixel[(pixel >= 0).any(axis=1)]
    # Somewhere in each tile is a pixel; it stands in for those that are none.
    first = np.take_along_axis(pixel, (pixel >= 0).argmax(axis=1)[:, None], axis=1)
    source = np.where(pixel >= 0, pixel, first)
    rays = directions.reshape(height * width, samples, 3)[source].reshape(len(pixel), -1, 3)
    axis = rays.mean(axis=1)
    axis /= np.maximum(np.linalg.norm(axis, axis=1, keepdims=True), 1e-12)
    cosine = np.einsum("trc,tc->tr", rays, axis).min(axis=1) if len(rays) else np.empty(0)
    return RayTiles(
        directions=np.ascontiguousarray(rays.transpose(2, 0, 1)),
        axis=axis,
        half=np.arccos(np.clip(cosine, -1, 1)),
        samples=samples,
        height=height,
        width=width,
        pixel=pixel,
    )
