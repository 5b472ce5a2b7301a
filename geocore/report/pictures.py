"""Pictures for a page: each as a data URI, alike ones once, within what a page may weigh."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

__all__ = ["Figure", "Picture", "gallery"]

_BUDGET = 6_500_000  # bytes of pictures, a third more as text: a page stays below 10 MB


@dataclass(frozen=True)
class Picture:
    """A PNG as text that an ``img`` takes, ``""`` if it was left out; whose it is; its size."""

    source: str
    owners: tuple[str, ...]
    width: int
    height: int


@dataclass(frozen=True)
class Figure:
    """A picture's file name, and what each snapshot has there; alike ones stand together."""

    name: str
    words: str
    pictures: tuple[Picture, ...]
    absent: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether the snapshots that have the picture have different ones."""
        return len(self.pictures) > 1


def gallery(named: Sequence[tuple[str, Mapping[str, bytes]]]) -> tuple[list[Figure], int]:
    """The figures of all snapshots, those that differ first, and how many pictures were left out.

    What would make the page too heavy is left out, the largest of the alike first.
    """
    names = sorted({name for _, pictures in named for name in pictures})
    raw = [(name, _alike(name, named)) for name in names]
    raw.sort(key=lambda pair: len(pair[1]) < 2)  # stable: the differing first
    room, left_out, figures = _BUDGET, 0, []
    for name, alike in raw:
        shown = []
        for content, owners in alike.items():
            fits = len(content) <= room
            room -= len(content) if fits else 0
            left_out += not fits
            shown.append(_picture(content if fits else b"", owners))
        absent = tuple(owner for owner, pictures in named if name not in pictures)
        figures.append(Figure(name, _words(name), tuple(shown), absent))
    return figures, left_out


def _alike(name: str, named: Sequence[tuple[str, Mapping[str, bytes]]]) -> dict[bytes, list[str]]:
    """Content -> who has it."""
    found: dict[bytes, list[str]] = {}
    for owner, pictures in named:
        if name in pictures:
            found.setdefault(pictures[name], []).append(owner)
    return found


def _picture(content: bytes, owners: Sequence[str]) -> Picture:
    width, height = struct.unpack(">II", content[16:24]) if len(content) >= 24 else (0, 0)
    encoded = base64.b64encode(content).decode("ascii")
    source = f"data:image/png;base64,{encoded}" if content else ""
    return Picture(source, tuple(owners), width, height)


def _words(name: str) -> str:
    """``evaluate/pictures/confusion.png`` -> ``evaluate: confusion``."""
    path = PurePosixPath(name)
    stage = path.parts[0] if len(path.parts) > 1 else ""
    return f"{stage}: {path.stem.replace('_', ' ')}" if stage else path.stem
