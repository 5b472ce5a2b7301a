"""Pictures for a page: each as a data URI, alike ones once, within what a page may weigh."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from geocore.report.snapshot import Snapshot, md5_of

__all__ = ["Figure", "Picture", "gallery"]

_BUDGET = 6_500_000  # bytes of pictures, a third more as text: a page stays below 10 MB


@dataclass(frozen=True)
class Picture:
    """A PNG as text that an ``img`` takes, ``""`` if it was left out; whose it is; its size.

    ``places`` are those of its ``owners`` among the snapshots.
    """

    source: str
    owners: tuple[str, ...]
    places: tuple[int, ...]
    width: int
    height: int


@dataclass(frozen=True)
class Figure:
    """A picture's file name, and what each snapshot has there; alike ones stand together."""

    name: str
    words: str
    pictures: tuple[Picture, ...]
    absent: tuple[str, ...]
    unknown: tuple[str, ...]  # of whom it is not known what they had there

    @property
    def differs(self) -> bool:
        """Whether the snapshots that have the picture have different ones."""
        return len(self.pictures) > 1


def gallery(snapshots: Sequence[Snapshot], budget: int | None = None) -> tuple[list[Figure], int]:
    """The figures of all snapshots, those that differ first, and how many pictures were left out.

    What would make the page heavier by more than ``budget`` bytes is left out, in that order.
    """
    names = sorted({name for snapshot in snapshots for name in snapshot.pictures})
    raw = [(name, _alike(name, snapshots)) for name in names]
    raw.sort(key=lambda pair: len(pair[1]) < 2)  # stable: the differing first
    room, left_out, figures = _BUDGET if budget is None else budget, 0, []
    for name, alike in raw:
        shown = []
        for content, places in alike.items():
            fits = len(content) <= room
            room -= len(content) if fits else 0
            left_out += not fits
            owners = [snapshots[place].name for place in places]
            shown.append(_picture(content if fits else b"", owners, places))
        having = {place for places in alike.values() for place in places}
        lacking = [s for place, s in enumerate(snapshots) if place not in having]
        absent = tuple(s.name for s in lacking if s.unread is not None and name not in s.unread)
        unknown = tuple(s.name for s in lacking if s.unread is None or name in s.unread)
        figures.append(Figure(name, _words(name), tuple(shown), absent, unknown))
    return figures, left_out


def _alike(name: str, snapshots: Sequence[Snapshot]) -> dict[bytes, list[int]]:
    """Content -> who has it, as places among the snapshots; the md5 of one unread tells, too."""
    found: dict[bytes, list[int]] = {
        snapshot.pictures[name]: [] for snapshot in snapshots if name in snapshot.pictures
    }
    by_md5 = {md5_of(content): content for content in found}
    for place, snapshot in enumerate(snapshots):
        content = snapshot.pictures.get(name) or by_md5.get((snapshot.unread or {}).get(name, ""))
        if content is not None:
            found[content].append(place)
    return found


def _picture(content: bytes, owners: Sequence[str], places: Sequence[int]) -> Picture:
    width, height = struct.unpack(">II", content[16:24]) if len(content) >= 24 else (0, 0)
    encoded = base64.b64encode(content).decode("ascii")
    source = f"data:image/png;base64,{encoded}" if content else ""
    return Picture(source, tuple(owners), tuple(places), width, height)


def _words(name: str) -> str:
    """``evaluate/pictures/confusion.png`` -> ``evaluate: confusion``."""
    path = PurePosixPath(name)
    stage = path.parts[0] if len(path.parts) > 1 else ""
    return f"{stage}: {path.stem.replace('_', ' ')}" if stage else path.stem
