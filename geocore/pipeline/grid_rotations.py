"""Rotations of samples on a Driscoll-Healy grid, for their equivariance errors.

A quarter turn about z moves points of the grid to points where the number of columns is a multiple
of 4. Any other rotation acts on the samples' Fourier coefficients, exactly on what the bandlimit
holds: of images with sharper edges the *floor* shows how much that leaves out.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from geocore.measure.equivariance import relative_error
from geocore.pipeline.symmetry_errors import STREAMS, Group, Rotation
from geocore.so3.rotation import quaternion_to_matrix
from geocore.so3.s2_rotation import S2Rotation
from geocore.so3.sampling import random_rotations

__all__ = ["quarter_turns_of_grid", "sampled_rotations_of_grid"]


_Place = tuple[int, torch.dtype, torch.device]


class _Roll(Rotation):
    """By ``number`` quarter turns about z."""

    def __init__(self, number: int) -> None:
        half = math.pi / 4 * number
        super().__init__(
            "quarter_turn", number, [math.cos(half), 0.0, 0.0, math.sin(half)], 90.0 * number
        )

    def act(self, x: Tensor) -> Tensor:
        return x.roll(self.number * (x.shape[2] // 4), dims=2)

    def compared(self, x: Tensor) -> Tensor:
        return x

    def floor(self, x: Tensor) -> None:
        del x


class _Spectral(Rotation):
    def __init__(self, group: Group, number: int, quaternion: list[float]) -> None:
        w, *_, z = quaternion
        angle = math.degrees(2 * math.atan2(z, w)) if group == "z" else None
        super().__init__(group, number, quaternion, angle)
        self._known: dict[_Place, tuple[S2Rotation, S2Rotation]] = {}

    def act(self, x: Tensor) -> Tensor:
        rotated: Tensor = self._at(x)[0](x)
        return rotated

    def compared(self, x: Tensor) -> Tensor:
        return x

    def floor(self, x: Tensor) -> Tensor:
        there, back = self._at(x)
        return relative_error(back(there(x)), x)

    def _at(self, x: Tensor) -> tuple[S2Rotation, S2Rotation]:
        """There and back, at the bandlimit of ``x``."""
        bandlimit = x.shape[1] // 2
        place = (bandlimit, x.dtype, x.device)
        if place not in self._known:
            matrix = quaternion_to_matrix(torch.tensor(self.quaternion, dtype=torch.float64))
            there, back = (S2Rotation(bandlimit, one, x.dtype) for one in (matrix, matrix.T))
            self._known[place] = (there.to(x.device), back.to(x.device))
        return self._known[place]


def quarter_turns_of_grid(bandlimit: int) -> list[Rotation]:
    """The three quarter turns about z that are not the identity.

    Raises ``ValueError`` for a grid that they do not keep.
    """
    if bandlimit % 2:
        raise ValueError(
            f"the grid of bandlimit {bandlimit} has {2 * bandlimit} columns; quarter turns keep "
            "those of a multiple of 4"
        )
    return [_Roll(number) for number in (1, 2, 3)]


def sampled_rotations_of_grid(group: Literal["z", "so3"], count: int, seed: int) -> list[Rotation]:
    """Random rotations: uniform about z, or of the Haar measure of SO(3)."""
    drawn = random_rotations(group, seed, np.arange(count), STREAMS[group])
    return [
        _Spectral(group, number, quaternion) for number, quaternion in enumerate(drawn.tolist())
    ]
