"""A colour for each class of a mask, the same wherever the class is drawn."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import torch
from torch import Tensor

from geocore.data.scenes.classes import CLASSES, COLOURS

__all__ = ["class_colours", "coloured"]

# Of street scenes: our own, and WoodScape's of the same or a like meaning.
_NAMED = dict(zip(CLASSES, COLOURS, strict=True))
_NAMED |= {
    "void": (0, 0, 0), "lanes": _NAMED["lane_mark"], "curb": _NAMED["pavement"],
    "vehicles": _NAMED["car"], "person": _NAMED["pedestrian"], "rider": (255, 110, 60),
    "bicycle": (119, 11, 32), "motorcycle": (0, 130, 140),
}  # fmt: skip

# Others: of the circle from one hue to the next, and saturation and value in turn. Any two of 25
# such colours lie at least 0.18 apart in the RGB cube, any two of the first 10 at least 0.4.
_STEP = 0.57
_TONES = ((0.91, 0.96), (0.75, 0.53), (0.59, 0.98), (0.39, 0.96))


def class_colours(classes: Sequence[str]) -> Tensor:
    """``(classes, 3)`` RGB in [0, 1], float64: known names have their own, others by their place.

    More classes behind the others change none.
    """
    colours: list[Sequence[float]] = []
    for place, name in enumerate(classes):
        if name in _NAMED:
            colours.append([value / 255 for value in _NAMED[name]])
        else:
            tone = _TONES[place % len(_TONES)]
            colours.append(colorsys.hsv_to_rgb((0.58 + place * _STEP) % 1, *tone))
    return torch.tensor(colours, dtype=torch.float64).reshape(len(classes), 3)


def coloured(labels: Tensor, classes: Sequence[str]) -> Tensor:
    """Labels ``(...)`` -> RGB ``(..., 3)``; black for what is none of the ``classes``."""
    colours = torch.cat([class_colours(classes), torch.zeros(1, 3, dtype=torch.float64)])
    return colours[labels.long().clamp(max=len(classes))]
