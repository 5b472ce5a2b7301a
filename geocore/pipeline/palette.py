"""A colour for each class of a mask."""

from __future__ import annotations

import colorsys

import torch
from torch import Tensor

__all__ = ["class_colours", "coloured"]

# Of the circle from one hue to the next, and saturation and value in turn: with these any two of
# 25 colours lie at least 0.18 apart in the RGB cube, any two of the first 10 at least 0.4.
_STEP = 0.57
_TONES = ((0.91, 0.96), (0.75, 0.53), (0.59, 0.98), (0.39, 0.96))


def class_colours(count: int) -> Tensor:
    """``(count, 3)`` RGB in [0, 1], float64: the same colour for a class however many there are."""
    colours = [
        colorsys.hsv_to_rgb((0.58 + place * _STEP) % 1, *_TONES[place % len(_TONES)])
        for place in range(count)
    ]
    return torch.tensor(colours, dtype=torch.float64).reshape(count, 3)


def coloured(labels: Tensor, count: int) -> Tensor:
    """Labels ``(...)`` -> RGB ``(..., 3)``; black for what is no class below ``count``."""
    colours = torch.cat([class_colours(count), torch.zeros(1, 3, dtype=torch.float64)])
    return colours[labels.long().clamp(max=count)]
