"""A colour for each class of a mask."""

from __future__ import annotations

import colorsys

import torch
from torch import Tensor

__all__ = ["class_colours", "coloured"]

_GOLDEN = 0.618033988749895  # of the circle from one hue to the next: neighbours lie far apart
_TONES = ((0.75, 0.95), (0.45, 0.75), (0.9, 0.6))  # saturation and value, in turn


def class_colours(count: int) -> Tensor:
    """``(count, 3)`` RGB in [0, 1], float64: the same colour for a class however many there are."""
    colours = [
        colorsys.hsv_to_rgb((0.58 + place * _GOLDEN) % 1, *_TONES[place % len(_TONES)])
        for place in range(count)
    ]
    return torch.tensor(colours, dtype=torch.float64).reshape(count, 3)


def coloured(labels: Tensor, count: int) -> Tensor:
    """Labels ``(...)`` -> RGB ``(..., 3)``; black for what is no class below ``count``."""
    colours = torch.cat([class_colours(count), torch.zeros(1, 3, dtype=torch.float64)])
    return colours[labels.long().clamp(max=count)]
