"""Synthetic textures in the colours of a stained slice: something to learn where no slices lie.

They are made up, and stand for nothing medical: five patterns that tissue classes look like from
afar, each at a random place, angle and strength, so that every class as a whole has no direction.
Real tiles come from a folder (``geocore.data.sources.image_folder``).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["CLASSES", "textures"]

Array = npt.NDArray[np.float64]

_TEXTURES = 6  # the stream of the seed
# Optical densities of haematoxylin and eosin in red, green, blue: Ruifrok and Johnston (2001).
_STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])


def textures(count: int, size: int, seed: int, first: int = 0) -> tuple[Tensor, Tensor]:
    """Images ``(count, 3, size, size)`` in [0, 1], float64, and their classes ``(count,)`` int64.

    ``I = exp(-(h H + e E))``, Beer's law, with densities ``h`` and ``e`` of two stains. Texture
    ``n`` of a seed is the same whatever else is drawn, of class ``n mod 5``; ``first`` is the first
    ``n``. Lengths are parts of the side, so that a texture looks alike in any size. Raises
    ``ValueError`` for fewer than 4 pixels a side or a negative count.
    """
    if size < 4 or count < 0:
        raise ValueError(f"size is {size}, count {count}; expected at least 4 and 0")
    places = (np.arange(size) + 0.5) / size
    x, y = np.meshgrid(places, places)
    numbers = np.arange(first, first + count)
    images = np.empty((count, 3, size, size))
    for image, number in zip(images, numbers, strict=True):
        generator = np.random.default_rng([_TEXTURES, seed, int(number)])
        nuclei, ground = _PATTERNS[number % len(CLASSES)](x, y, generator)
        strength = generator.uniform(0.7, 1.3, 2)
        densities = np.stack([strength[0] * nuclei, strength[1] * ground])
        densities += 0.05 * generator.standard_normal(densities.shape)
        optical = np.tensordot(_STAINS, np.maximum(densities, 0), axes=(0, 0))
        image[:] = np.exp(-optical)
    return torch.from_numpy(images), torch.from_numpy(numbers % len(CLASSES))


def _bumps(x: Array, y: Array, generator: np.random.Generator, count: int, width: float) -> Array:
    """Gaussian bumps at random places."""
    total = np.zeros_like(x)
    for a, b in generator.random((count, 2)):
        total += np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * width**2))
    return total


def _fibres(x: Array, y: Array, generator: np.random.Generator) -> tuple[Array, Array]:
    """Wavy stripes in one direction, few nuclei."""
    angle, phase, bend = generator.uniform(0, 2 * np.pi, 3)
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    stripes = np.sin(2 * np.pi * 4 * across + phase + 0.6 * np.sin(2 * np.pi * along + bend))
    return _bumps(x, y, generator, 3, 0.04), 0.8 + 0.5 * stripes


def _lymphocytes(x: Array, y: Array, generator: np.random.Generator) -> tuple[Array, Array]:
    """Many small dark nuclei, close together."""
    return 1.3 * _bumps(x, y, generator, 40, 0.04), np.full_like(x, 0.3)


def _glands(x: Array, y: Array, generator: np.random.Generator) -> tuple[Array, Array]:
    """Rings of nuclei around pale middles."""
    wall, inside = np.zeros_like(x), np.zeros_like(x)
    for a, b, radius in zip(
        *generator.random((2, 3)), generator.uniform(0.12, 0.25, 3), strict=True
    ):
        distance = np.hypot(x - a, y - b)
        wall = np.maximum(wall, np.exp(-(((distance - radius) / 0.05) ** 2)))
        inside = np.maximum(inside, distance < radius)
    return 1.2 * wall, 0.6 * (1 - 0.8 * inside)


def _fat(x: Array, y: Array, generator: np.random.Generator) -> tuple[Array, Array]:
    """Pale cells with thin walls: where the two nearest of some points are as near."""
    points = generator.random((10, 2))
    distances = np.sort([np.hypot(x - a, y - b) for a, b in points], axis=0)
    walls = np.exp(-(((distances[1] - distances[0]) / 0.05) ** 2))
    return np.zeros_like(x), 0.1 + 0.9 * walls


def _mucus(x: Array, y: Array, generator: np.random.Generator) -> tuple[Array, Array]:
    """Smooth clouds of both stains."""
    clouds = np.zeros_like(x)
    for angle, phase, waves in zip(
        *generator.uniform(0, 2 * np.pi, (2, 4)), generator.uniform(0.5, 1.5, 4), strict=True
    ):
        clouds += np.sin(2 * np.pi * waves * (x * np.cos(angle) + y * np.sin(angle)) + phase)
    return 0.25 + 0.1 * clouds, 0.3 + 0.1 * clouds


_PATTERNS: tuple[Callable[[Array, Array, np.random.Generator], tuple[Array, Array]], ...] = (
    _fibres,
    _lymphocytes,
    _glands,
    _fat,
    _mucus,
)

CLASSES = tuple(pattern.__name__.removeprefix("_") for pattern in _PATTERNS)
"""The names of the five patterns, in the order of the classes."""
