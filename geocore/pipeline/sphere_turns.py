"""Turns of maps about an axis, from a full circle: pixels moved where they can be, else read off.

A turn about z by a multiple of 90 degrees moves pixels to pixels on the whole rows of a HEALPix
map, and on a Driscoll-Healy grid whose columns are a multiple of 4. Any other one interpolates a
HEALPix map bilinearly and acts on the Fourier coefficients of a Driscoll-Healy one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from geocore.data.tabletype import TableType
from geocore.healpix.grid import ALL_FACES
from geocore.healpix.rotate import MapRotation
from geocore.pipeline.grid_rotations import quarter_turns_of_grid
from geocore.pipeline.symmetry_errors import Rotation, quarter_turns
from geocore.so3.rotation import quaternion_to_matrix
from geocore.so3.s2_rotation import S2Rotation

__all__ = ["Turn", "circle"]

_AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}


@dataclass(frozen=True)
class Turn:
    """``act`` turns maps ``(batch, ..., channels)`` by ``angle`` degrees.

    ``known (pixels,)`` is where the result says anything: elsewhere the map has no pixel to take
    it from.
    """

    angle: float
    exact: bool
    act: Callable[[Tensor], Tensor]
    known: Tensor


def circle(kind: TableType, axis: Literal["x", "y", "z"], count: int) -> list[Turn]:
    """The ``count`` turns by ``0, 360 / count, ...`` degrees about ``axis``, of maps on the grid
    of ``kind``; the first is the identity.
    """
    return [_turn(kind, axis, 360.0 * number / count) for number in range(count)]


def _turn(kind: TableType, axis: Literal["x", "y", "z"], angle: float) -> Turn:
    everywhere = torch.ones(kind.pixels, dtype=torch.bool)
    if angle == 0:
        return Turn(angle, True, lambda x: x, everywhere)
    if axis == "z" and angle % 90 == 0:
        quarter = [turn for turn in _quarter_turns(kind) if turn.angle == angle]
        if quarter:
            return Turn(angle, True, quarter[0].act, everywhere)
    half = math.radians(angle) / 2
    quaternion = [math.cos(half), *(math.sin(half) * along for along in _AXES[axis])]
    matrix = quaternion_to_matrix(torch.tensor(quaternion, dtype=torch.float64))
    if kind.grid == "driscoll-healy":
        assert kind.height is not None  # such a table says it
        return Turn(angle, False, S2Rotation(kind.height // 2, matrix), everywhere)
    assert kind.nside is not None and kind.faces is not None  # a HEALPix table says both
    rotation = MapRotation(kind.nside, kind.faces, matrix)
    return Turn(angle, False, rotation, rotation.valid)


def _quarter_turns(kind: TableType) -> Sequence[Rotation]:
    """None where the grid has none."""
    try:
        if kind.grid == "driscoll-healy":
            return quarter_turns_of_grid((kind.height or 0) // 2)
        return quarter_turns(kind.faces or ALL_FACES, kind.nside or 1)
    except ValueError:
        return ()
