"""Seeds of scenes: no two splits share a scene, whatever their seeds and sizes."""

from __future__ import annotations

import hashlib
from typing import Literal, get_args

__all__ = ["Split", "scene_seed", "split_of"]

Split = Literal["train", "val", "test"]

_LIMIT = 2**63


def scene_seed(seed: int, split: Split, index: int) -> int:
    """The seed of scene ``index`` of a split: an integer in ``[0, 2^63)``.

    ``3 h + s``, where ``h`` is a hash (BLAKE2b) of ``(seed, index)`` and ``s`` the number of the
    split. Scenes of different splits have seeds that differ modulo 3, so splits cannot overlap,
    whichever ``seed`` and ``index`` each of them uses. Within a split two pairs
    ``(seed, index)`` give one seed with the chance of a collision of 61 bits. Raises
    ``ValueError`` for an unknown split and for negative numbers.
    """
    splits = get_args(Split)
    if split not in splits:
        raise ValueError(f"split is {split!r}; expected one of {', '.join(splits)}")
    if seed < 0 or index < 0:
        raise ValueError(f"seed is {seed}, index {index}; expected no negative number")
    digest = hashlib.blake2b(f"{seed}/{index}".encode(), digest_size=8, person=b"geocore scene")
    hashed = int.from_bytes(digest.digest(), "big") % (_LIMIT // len(splits))
    return len(splits) * hashed + splits.index(split)


def split_of(seed: int) -> Split:
    """The split that a scene's seed belongs to: ``split_of(scene_seed(n, split, i)) == split``."""
    if not 0 <= seed < _LIMIT:
        raise ValueError(f"seed is {seed}; expected 0 <= seed < 2^63")
    found: Split = get_args(Split)[seed % len(get_args(Split))]
    return found
