"""Equivariance errors of a network: per sample, layer and rotation; of HEALPix maps, the rotations.

Under the quarter turns about z, a token map of any resolution turns by an exact permutation.
Under sampled rotations both ``x`` and ``f(x)`` are interpolated bilinearly at their own resolution,
so the error of ``f(R x)`` against ``R f(x)`` holds the interpolation's own. The *floor* shows how
large that is: a layer's map rotated there and back again, against itself, without any network.

Where the faces are not the whole sphere, a rotation brings in pixels that no face holds. They are 0
in ``R x``, and layers are compared on the pixels that ``R`` takes from the available faces alone.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from geocore.healpix.grid import nside_of
from geocore.healpix.rotate import MapRotation
from geocore.healpix.symmetry import QuarterTurns
from geocore.measure.equivariance import layer_errors, relative_error
from geocore.pipeline.predictions import finite
from geocore.so3.rotation import matrix_to_quaternion, quaternion_to_matrix
from geocore.so3.sampling import random_rotations
from geocore.train.feed import Feed

__all__ = [
    "STREAMS",
    "Group",
    "Rotation",
    "SymmetryErrors",
    "no_errors",
    "quarter_turns",
    "sampled_rotations",
    "symmetry_errors",
]

Group = Literal["quarter_turn", "z", "so3"]
Trace = Callable[[Tensor], dict[str, Tensor]]

STREAMS = {"z": 101, "so3": 102}  # of the seed's random numbers; `project` draws from stream 0
_BATCH = 32  # at most so many samples at a time: all of their layers are held


class Rotation(ABC):
    """One rotation of maps of any resolution, element ``number`` of a sampled ``group``.

    ``quaternion`` is ``w, x, y, z``; ``angle`` in degrees about z, None for other axes.
    """

    def __init__(
        self, group: Group, number: int, quaternion: list[float], angle: float | None
    ) -> None:
        self.group, self.number = group, number
        self.quaternion, self.angle = quaternion, angle

    @abstractmethod
    def act(self, x: Tensor) -> Tensor:
        """``R x`` for maps ``(batch, ..., channels)``."""

    @abstractmethod
    def compared(self, x: Tensor) -> Tensor:
        """``x`` where ``R`` knows its values, 0 elsewhere; NaN if it knows none."""

    @abstractmethod
    def floor(self, x: Tensor) -> Tensor | None:
        """The relative error ``(batch,)`` of rotating there and back; None if that is exact."""


class _QuarterTurn(Rotation):
    def __init__(self, turns: QuarterTurns, number: int) -> None:
        quaternion = matrix_to_quaternion(turns.matrix(number)).tolist()
        super().__init__("quarter_turn", number, quaternion, 90.0 * number)
        self._turns = turns

    def act(self, x: Tensor) -> Tensor:
        return self._turns.act(self.number, x)

    def compared(self, x: Tensor) -> Tensor:
        return x

    def floor(self, x: Tensor) -> None:
        del x


class _Sampled(Rotation):
    def __init__(
        self, group: Group, number: int, quaternion: list[float], faces: Sequence[int]
    ) -> None:
        w, *_, z = quaternion
        angle = math.degrees(2 * math.atan2(z, w)) if group == "z" else None
        super().__init__(group, number, quaternion, angle)
        self._faces = faces
        self._known: dict[int, tuple[MapRotation, MapRotation, Tensor, Tensor]] = {}

    def act(self, x: Tensor) -> Tensor:
        there, _, _, _ = self._at(x)
        rotated: Tensor = there(x)
        return rotated

    def compared(self, x: Tensor) -> Tensor:
        _, _, known, _ = self._at(x)
        return x * known

    def floor(self, x: Tensor) -> Tensor:
        there, back, _, known = self._at(x)
        return relative_error(back(there(x)) * known, x * known)

    def _at(self, x: Tensor) -> tuple[MapRotation, MapRotation, Tensor, Tensor]:
        """There, back, and the pixels known after each, at the resolution of ``x``."""
        nside = nside_of(x.shape[1], self._faces)
        if nside not in self._known:
            matrix = quaternion_to_matrix(torch.tensor(self.quaternion, dtype=torch.float64))
            there = MapRotation(nside, self._faces, matrix, x.dtype).to(x.device)
            back = MapRotation(nside, self._faces, matrix.T, x.dtype).to(x.device)
            whole = back(there.valid.to(x.dtype)[None, :, None])[0, :, 0] > 1 - 1e-5
            after = _mask(there.valid, x.dtype), _mask(back.valid & whole, x.dtype)
            self._known[nside] = (there, back, *after)
        return self._known[nside]


def quarter_turns(faces: Sequence[int], nside: int) -> list[Rotation]:
    """The three quarter turns about z that are not the identity.

    Raises ``ValueError`` for faces that they do not keep.
    """
    turns = QuarterTurns(nside, faces)
    return [_QuarterTurn(turns, number) for number in turns if number != turns.identity]


def sampled_rotations(
    group: Literal["z", "so3"], count: int, seed: int, faces: Sequence[int]
) -> list[Rotation]:
    """Random rotations: uniform about z, or of the Haar measure of SO(3)."""
    drawn = random_rotations(group, seed, np.arange(count), STREAMS[group])
    return [_Sampled(group, n, quaternion, faces) for n, quaternion in enumerate(drawn.tolist())]


@dataclass(frozen=True)
class SymmetryErrors:
    """``errors`` and ``floors``, each ``(rotations, layers, samples)`` float64.

    NaN: no floor (an exact or invariant action), or no pixel that could be compared.
    """

    rotations: Sequence[Rotation]
    layers: Sequence[str]
    samples: Tensor
    errors: Tensor
    floors: Tensor

    def summary(self, group: Group) -> dict[str, dict[str, float | None]]:
        """Each layer's mean and largest error over samples and rotations, and its mean floor."""
        mine = torch.tensor([rotation.group == group for rotation in self.rotations])
        summary: dict[str, dict[str, float | None]] = {}
        for place, layer in enumerate(self.layers):
            errors, floors = self.errors[mine, place], self.floors[mine, place]
            errors, floors = errors[~errors.isnan()], floors[~floors.isnan()]
            largest = errors.max() if len(errors) else torch.nan
            summary[layer] = {"mean": finite(errors.mean()), "max": finite(largest)}
            if len(floors):
                summary[layer]["floor"] = finite(floors.mean())
        return summary

    def table(self) -> pa.Table:
        """A row a rotation, layer and sample: ``sample, layer, group, element, angle, quaternion,
        error, floor``; ``element`` counts within the group.
        """
        shape = self.errors.shape
        rotation, layer, sample = (axis.reshape(-1) for axis in np.indices(shape))
        quaternions = np.array([r.quaternion for r in self.rotations])[rotation]
        groups, angles = [r.group for r in self.rotations], [r.angle for r in self.rotations]
        return pa.table(
            {
                "sample": self.samples.numpy()[sample],
                "layer": _named(layer, list(self.layers)),
                "group": _named(rotation, groups),
                "element": np.array([r.number for r in self.rotations], np.int64)[rotation],
                "angle": pa.array(angles, pa.float64()).take(pa.array(rotation)),
                "quaternion": pa.FixedSizeListArray.from_arrays(quaternions.reshape(-1), 4),
                "error": pa.array(self.errors.numpy().reshape(-1), from_pandas=True),
                "floor": pa.array(self.floors.numpy().reshape(-1), from_pandas=True),
            }
        )


def no_errors() -> SymmetryErrors:
    """The errors of nothing: its table has the usual columns and no rows."""
    nothing = torch.empty(0, 0, 0, dtype=torch.float64)
    return SymmetryErrors((), (), torch.empty(0, dtype=torch.int64), nothing, nothing)


def symmetry_errors(
    model: nn.Module,
    feed: Feed,
    positions: Tensor,
    rotations: Sequence[Rotation],
    batch_size: int,
    advance: Callable[[int], None] = lambda _: None,
) -> SymmetryErrors:
    """The errors of every layer that ``model.trace`` names, the maps themselves first (``input``).

    ``model.trace(x)`` gives maps that turn with the input, of whatever resolution: token maps
    ``(batch, tokens, channels)``, nested, over the same faces, or samples ``(batch, 2b, 2b,
    channels)``; and vectors ``(batch, channels)`` that are to be invariant.
    """
    trace = cast(Trace, model.trace)
    batches = []
    layers: list[str] = []
    with torch.inference_mode():
        for part in positions.split(min(batch_size, _BATCH)):
            images, _ = feed(part)
            plain = {"input": images, **trace(images)}
            layers = list(plain)
            advance(len(part))
            rows = []
            for rotation in rotations:
                rows.append(_errors(trace, rotation, plain))
                advance(len(part))
            batches.append(torch.stack(rows))
    errors, floors = torch.cat(batches, dim=-1).unbind(dim=1)
    return SymmetryErrors(rotations, layers, feed.ids[positions].cpu(), errors, floors)


def _errors(trace: Trace, rotation: Rotation, plain: dict[str, Tensor]) -> Tensor:
    """Errors and floors of one rotation, ``(2, layers, batch)``."""
    rotated = rotation.act(plain["input"])
    turned = {
        name: rotation.compared(value) if value.ndim > 2 else value
        for name, value in {"input": rotated, **trace(rotated)}.items()
    }
    errors = layer_errors(turned, plain, rotation.act)
    floors = [rotation.floor(value) if value.ndim > 2 else None for value in plain.values()]
    nan = torch.full((len(rotated),), torch.nan, dtype=torch.float64)
    return torch.stack(
        [
            torch.stack([error.cpu() for error in errors.values()]),
            torch.stack([nan if floor is None else floor.cpu() for floor in floors]),
        ]
    )


def _mask(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """1 on the pixels that are seen, 0 elsewhere, ``(npix, 1)``; NaN if there is none."""
    mask = seen.to(dtype) if bool(seen.any()) else torch.full_like(seen, torch.nan, dtype=dtype)
    return mask[:, None]


def _named(places: Any, names: Sequence[str]) -> pa.Array:
    known = list(dict.fromkeys(names))
    codes = np.array([known.index(name) for name in names], dtype=np.int32)
    return pa.DictionaryArray.from_arrays(codes[places], pa.array(known, pa.string()))
