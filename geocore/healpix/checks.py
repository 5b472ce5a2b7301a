"""What the functions of this room ask of their arguments.

Values are looked at once (one reduction over a tensor), and not while ``torch.compile`` traces:
compiled code checks dtypes and shapes alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

__all__ = [
    "ALL_FACES",
    "MAX_NSIDE",
    "Ordering",
    "check_faces",
    "check_nside",
    "check_ordering",
    "check_pixel",
    "check_range",
]

Ordering = Literal["nested", "ring"]
ALL_FACES = tuple(range(12))
MAX_NSIDE = 2**20


def check_nside(nside: int) -> int:
    """``nside``, or ``ValueError`` if it is not a power of two from 1 to 2^20; an ``int``."""
    if not isinstance(nside, int):
        raise TypeError(f"nside is a {type(nside).__name__}; expected an int")
    if not 1 <= nside <= MAX_NSIDE or nside & (nside - 1):
        raise ValueError(f"nside is {nside}; expected a power of two from 1 to {MAX_NSIDE}")
    return nside


def check_faces(faces: Sequence[int]) -> tuple[int, ...]:
    """``faces`` as a tuple, or ``ValueError`` if it is not a rising list of base faces."""
    found = tuple(faces)
    if (
        not all(isinstance(face, int) for face in found)
        or not found
        or sorted({*found} & {*ALL_FACES}) != list(found)
    ):
        raise ValueError(f"faces is {found}; expected a rising list of base faces from 0 to 11")
    return found


def check_ordering(ordering: str) -> None:
    """``ValueError`` if ``ordering`` is neither of the two."""
    if ordering not in ("nested", "ring"):
        raise ValueError(f"ordering is {ordering!r}; expected 'nested' or 'ring'")


def check_pixel(nside: int, pixel: Tensor, name: str = "pixel") -> None:
    """``TypeError`` if ``pixel`` is not int64, ``ValueError`` if one is not on the sphere."""
    check_nside(nside)
    check_range(pixel, 12 * nside**2, name)


def check_range(value: Tensor, count: int, name: str) -> None:
    """``TypeError`` if ``value`` is not int64, ``ValueError`` if one is not in [0, count)."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} is a {type(value).__name__}; expected a tensor of int64")
    if value.dtype != torch.int64:
        raise TypeError(f"{name} is {value.dtype}; expected torch.int64")
    if torch.compiler.is_compiling() or not value.numel():
        return
    low, high = torch.stack(torch.aminmax(value)).tolist()
    if low < 0 or high >= count:
        raise ValueError(f"{name} runs from {low} to {high}; expected 0 to {count - 1}")
