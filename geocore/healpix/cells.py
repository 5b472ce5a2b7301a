"""The cells of the shifted grid: what half a window in both directions brings together.

Windows tile each face ``count x count``. A quarter of a window is a *block*, a nested run and a
pixel of the HEALPix grid of nside ``2 count``. The shifted grid is the dual of the windows: one
*cell* for each corner of a window, of the blocks of the set that touch it. A cell has four blocks
within a face, on a seam of two faces and where four faces meet, three at the eight corners between
three faces, and fewer at the edge of the set.

Places in a cell are numbered counter-clockwise, seen from outside: 0 at (0, 0), 1 at (1, 0), 2 at
(1, 1) and 3 at (0, 1), in units of a block. A block lies in its cell after ``turns`` quarter turns
counter-clockwise. A block of one face, or of faces whose axes agree, has none. The axes turn across
the seams between two polar faces only: there a cell has the axes of the western face, at a pole
those of its first face. A corner between three faces has the axes of all three if its belt face is
in the set: one place stays empty, and the two polar blocks, which share an edge, stand diagonally
(the angles there add up to 270 degrees).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from geocore.healpix.grid import xyf2nest

__all__ = ["SEAMS", "Cell", "Seam", "corner_cells", "edge_blocks", "inner_cells", "period_of"]

# A face touches the cell at its N, W, S, E corner from the place 0, 1, 2, 3.
_CORNERS = ((1, 1), (0, 1), (0, 0), (1, 0))


@dataclass(frozen=True)
class Cell:
    """Blocks that stay together: the place, nested number and quarter turns of each."""

    places: tuple[int, ...]
    blocks: tuple[int, ...]
    turns: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.blocks)

    def turned(self, quarters: int) -> Cell:
        """The same cell, itself turned counter-clockwise in its frame."""
        places = tuple((place + quarters) % 4 for place in self.places)
        return Cell(places, self.blocks, tuple((turn + quarters) % 4 for turn in self.turns))

    def upright(self) -> Cell:
        """The same cell with its first block's own axes."""
        return self.turned(-self.turns[0])

    def rotated(self, quarters: int, per_face: int) -> Cell:
        """The image under quarter turns of the sphere about z."""
        image = []
        for block in self.blocks:
            face, number = divmod(block, per_face)
            image.append((4 * (face // 4) + (face + quarters) % 4) * per_face + number)
        return Cell(self.places, tuple(image), self.turns)


@dataclass(frozen=True)
class Seam:
    """Two faces with a shared edge: its name in each, and the quarter turns of the second."""

    faces: tuple[int, int]
    edges: tuple[str, str]
    turns: int
    column: int


def _seams() -> Iterator[Seam]:
    for column in range(4):
        west, east = (column - 1) % 4, (column + 1) % 4
        yield Seam((4 + column, column), ("NE", "SW"), 0, column)
        yield Seam((4 + column, west), ("NW", "SE"), 0, column)
        yield Seam((8 + column, 4 + east), ("NE", "SW"), 0, column)
        yield Seam((8 + column, 4 + column), ("NW", "SE"), 0, column)
        yield Seam((column, east), ("NE", "NW"), 1, column)
        yield Seam((8 + column, 8 + east), ("SE", "SW"), 3, column)


SEAMS = tuple(_seams())


def period_of(faces: Sequence[int]) -> int:
    """The fewest quarter turns about z that keep the set of faces: 1, 2 or 4."""
    for quarters in (1, 2):
        if {4 * (face // 4) + (face + quarters) % 4 for face in faces} == set(faces):
            return quarters
    return 4


def inner_cells(count: int, faces: Sequence[int]) -> Tensor:
    """Cells within a face, the blocks by place: ``(len(faces) * (count - 1)**2, 4)`` int64."""
    face = torch.tensor(faces)[:, None, None]
    x, y = 2 * torch.arange(1, count)[:, None], 2 * torch.arange(1, count)
    corners = [(x - 1, y - 1), (x, y - 1), (x, y), (x - 1, y)]
    blocks = [xyf2nest(2 * count, *torch.broadcast_tensors(*xy, face)) for xy in corners]
    return torch.stack(blocks, dim=-1).reshape(-1, 4)


def edge_blocks(count: int, face: int, edge: str) -> tuple[Tensor, list[int]]:
    """A face's blocks in the cells along an edge: ``(count - 1, 2)`` int64, and their two places.

    The corners of the face are left out. Cells run with the coordinate that grows along the edge,
    which on a seam is the same point in both faces.
    """
    along, end = 2 * torch.arange(1, count), torch.tensor(2 * count - 1)
    start = torch.zeros_like(end)
    first, second, places = {
        "NE": ((end, along - 1), (end, along), [0, 3]),
        "NW": ((along - 1, end), (along, end), [0, 1]),
        "SW": ((start, along - 1), (start, along), [1, 2]),
        "SE": ((along - 1, start), (along, start), [3, 2]),
    }[edge]
    number = [
        xyf2nest(2 * count, *torch.broadcast_tensors(*xy, torch.tensor(face)))
        for xy in (first, second)
    ]
    return torch.stack(number, dim=1), places


def corner_cells(count: int, faces: Sequence[int]) -> Iterator[Cell]:
    """The cells at the corners of faces: one of each orbit of the turns that keep the set.

    A pole's cell is cut where a turn keeps the set: what remains together is a sector of
    ``period_of(faces)`` faces. A turn that fixed an uncut cell would have to act on the window's
    slots as a shift by one vector does, so that the differences of their positions stay; the only
    such shift of finite order is none.
    """
    period = period_of(faces)
    # A cell is a list of (face, place, quarter turns).
    cells = [
        [(face, face, face) for face in range(period)],
        [(8 + face, (2 - face) % 4, -face % 4) for face in range(period)],
    ]
    for column in range(period):
        west, east = (column - 1) % 4, (column + 1) % 4
        for belt, right, left in (
            ((4 + column, 0, 0), (column, 1, 0), (west, 3, 0)),
            ((4 + column, 2, 0), (8 + column, 1, 0), (8 + west, 3, 0)),
        ):
            if belt[0] not in faces:
                # The axes of the western face, and the other beside it.
                turn = 1 if belt[1] == 0 else 3
                right = (right[0], (1 + turn) % 4, turn)
            cells.append([belt, left, right])
        cells.append(
            [(8 + column, 0, 0), (4 + east, 1, 0), (column, 2, 0), (4 + column, 3, 0)],
        )
    for cell in cells:
        found = [part for part in cell if part[0] in faces]
        if found:
            # The place from which a face touches a cell tells which of its corners it is.
            blocks = [_corner_block(count, face, (place - turn) % 4) for face, place, turn in found]
            places, turns = (tuple(part[index] for part in found) for index in (1, 2))
            yield Cell(places, tuple(blocks), turns).upright()


def _corner_block(count: int, face: int, corner: int) -> int:
    x, y = ((2 * count - 1) * end for end in _CORNERS[corner])
    return int(xyf2nest(2 * count, *(torch.tensor(value) for value in (x, y, face))))
