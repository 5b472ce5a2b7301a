"""Shifted windows on any set of base faces: three strategies, one plan.

Between two layers of window attention the windows move by about half their side, so that what a
window's border parted comes together. A plan is a permutation of the tokens, after which the
shifted windows are contiguous runs again, and labels that say who may attend to whom in the
windows that hold tokens from several places. On the faces of a set, in nested order, face after
face:

- ``grid``: half a window along both in-face directions, across the seams between faces
  (``geocore.healpix.grid_shift``);
- ``ring``: along the rings, each by itself (``geocore.healpix.ring_shift``);
- ``roll``: half a window along both directions within each face (``geocore.healpix.face_roll``).

The laws of all three: ``permutation`` is one, with its inverse; slots that may attend to each other
are joined by a path of neighbouring pixels inside their window; and the plan commutes with every
quarter turn about z that keeps the set of faces: the turn takes windows to windows and labels to
labels, and keeps the difference of the in-window positions of any two slots with one label.

Source: HEAL-SWIN, arXiv:2307.07313, section 3.2.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from geocore.healpix.checks import check_faces
from geocore.healpix.face_roll import face_roll
from geocore.healpix.grid_shift import grid_shift
from geocore.healpix.ring_shift import ring_shift
from geocore.healpix.windows import window_side

__all__ = ["STRATEGIES", "ShiftPlan", "Strategy", "shift_plan"]

Strategy = Literal["grid", "ring", "roll"]
STRATEGIES: dict[str, Callable[[int, tuple[int, ...], int], tuple[Tensor, Tensor]]] = {
    "grid": grid_shift,
    "ring": ring_shift,
    "roll": face_roll,
}


@dataclass(frozen=True)
class ShiftPlan:
    """Where each token goes, and which pairs of a shifted window may attend.

    ``shifted = x[:, permutation]`` and ``x = shifted[:, inverse]``, both ``(tokens,)`` int64.
    ``masked`` has the numbers of the windows (runs of ``window`` slots) that need labels, rising,
    ``(m,)`` int64. ``labels``, ``(m, window)`` uint8 (int16 where a window has more than 256), are
    theirs: in such a window two slots may attend to each other iff their labels are equal, in all
    others all may.
    """

    permutation: Tensor
    inverse: Tensor
    masked: Tensor
    labels: Tensor

    @property
    def bytes(self) -> int:
        """What the four tensors hold."""
        parts = (self.permutation, self.inverse, self.masked, self.labels)
        return sum(part.numel() * part.element_size() for part in parts)


def shift_plan(nside: int, faces: Sequence[int], window: int, strategy: Strategy) -> ShiftPlan:
    """The plan of a strategy for tokens of resolution ``nside`` on ``faces``.

    A window of one token has nothing to shift: the identity, without labels. A window of a whole
    face: ``grid`` joins quarters of different faces, ``ring`` and ``roll`` leave a face that is
    alone as it is. Plans are remembered; each call hands out tensors of its own. Raises
    ``ValueError`` for an ``nside`` that is no power of two, for faces that do not exist or are not
    in rising order, for a window that is no power of four or larger than a face, and for a
    strategy that there is not.
    """
    window_side(nside, window)
    if strategy not in STRATEGIES:
        known = ", ".join(map(repr, STRATEGIES))
        raise ValueError(f"strategy is {strategy!r}; expected one of {known}")
    plan = _plan(nside, check_faces(faces), window, strategy)
    return ShiftPlan(
        plan.permutation.clone(), plan.inverse.clone(), plan.masked.clone(), plan.labels.clone()
    )


@functools.lru_cache(maxsize=16)
def _plan(nside: int, faces: tuple[int, ...], window: int, strategy: str) -> ShiftPlan:
    tokens = len(faces) * nside**2
    if window == 1:
        permutation = torch.arange(tokens)
        labels = torch.zeros(tokens, 1, dtype=torch.int64)
    else:
        permutation, labels = STRATEGIES[strategy](nside, faces, window_side(nside, window))
    inverse = torch.empty_like(permutation)
    inverse[permutation] = torch.arange(tokens)
    masked = (labels != labels[:, :1]).any(dim=1).nonzero().flatten()
    kept = labels[masked]
    few = not kept.numel() or int(kept.max()) < 256
    return ShiftPlan(permutation, inverse, masked, kept.to(torch.uint8 if few else torch.int16))
