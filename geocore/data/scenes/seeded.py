"""Generators for the parts of a scene, and colours drawn from lists."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["part", "pick_colour", "shade"]


def part(seed: int, name: str) -> np.random.Generator:
    """The generator of one part of a scene: parts do not move each other's numbers."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *name.encode()])))


def pick_colour(
    random: np.random.Generator, palette: Sequence[Sequence[float]], spread: float = 0.15
) -> tuple[float, float, float]:
    """One of a list of linear colours, each channel and the whole varied by ``spread``."""
    base = np.asarray(palette[int(random.integers(len(palette)))], dtype=np.float64)
    factor = random.uniform(1 - spread, 1 + spread) * random.uniform(
        1 - spread / 2, 1 + spread / 2, 3
    )
    red, green, blue = np.clip(base * factor, 0.0, 1.0).tolist()
    return red, green, blue


def shade(colour: Sequence[float], factor: float) -> tuple[float, float, float]:
    """A colour made darker or brighter."""
    red, green, blue = (min(1.0, factor * channel) for channel in colour)
    return red, green, blue
