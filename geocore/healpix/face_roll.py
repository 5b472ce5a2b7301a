"""The roll: half a window along both directions within each base face, as a flat Swin does.

A face is rolled as a torus: the slot at (x, y) holds the token at (x + h, y + h) modulo nside, with
h half a window's side. Windows at a face's two far edges then hold two or four pieces from
opposite sides of the face, which have labels of their own; no two faces ever meet. ``2 nside /
sqrt(window) - 1`` windows a face have labels. A window of a whole face is left as it is: the roll
would take its tokens out of their places and bring nothing new together.
"""

from __future__ import annotations

import torch
from torch import Tensor

from geocore.healpix.grid import nest2xyf, xyf2nest

__all__ = ["face_roll"]


def face_roll(nside: int, faces: tuple[int, ...], side: int) -> tuple[Tensor, Tensor]:
    """The permutation ``(tokens,)`` and the labels ``(windows, window)``, int64 both."""
    half = side // 2 if side < nside else 0
    # Faces of the set are numbered from 0: each is rolled alike.
    x, y, face = nest2xyf(nside, torch.arange(len(faces) * nside**2))
    permutation = xyf2nest(nside, (x + half) % nside, (y + half) % nside, face)
    across_x, across_y = x + half >= nside, y + half >= nside
    labels = across_x.long() + 2 * across_y.long()
    return permutation, labels.reshape(-1, side**2)
