"""The grid shift: half a window along both in-face directions, across the seams between faces.

A shifted window is a cell of ``geocore.healpix.cells`` with four blocks; cells at the edge of the
set of faces and at the corners between three faces are packed several to a window, under labels
(``geocore.healpix.packing``). The laws:

- The tokens of a cell are in one window under one label, and two tokens with one label are of one
  cell. The only cells that are cut are the two at the poles, for a set that a quarter or half turn
  keeps (no order of their slots turns into itself), and as many cells of three blocks, or pairs,
  as there are cells of three without a single block to stand beside.
- Within a cell the in-window positions have the geometry's differences, in the axes of the window:
  exactly on a face and across the seams where the axes agree, turned across those where they turn.

On the whole sphere 8 windows have labels at every resolution, on faces 0 to 7 it is 4 ``nside /
sqrt(window)`` + 4.
"""

from __future__ import annotations

import torch
from torch import Tensor

from geocore.healpix.adjacency import neighbours
from geocore.healpix.cells import (
    SEAMS,
    Cell,
    Seam,
    corner_cells,
    edge_blocks,
    inner_cells,
    period_of,
)
from geocore.healpix.packing import beside, pack
from geocore.healpix.windows import turned_squares

__all__ = ["grid_shift"]

_NESTED = [0, 1, 3, 2]  # the places of a window's quarters in nested order
_Rows = tuple[Tensor, Tensor, Tensor]  # windows as blocks, turns and labels, each (windows, 4)


def grid_shift(nside: int, faces: tuple[int, ...], side: int) -> tuple[Tensor, Tensor]:
    """The permutation ``(tokens,)`` and the labels ``(windows, window)``, int64 both.

    ``side >= 2`` is a window's, in tokens.
    """
    count, half = nside // side, side // 2
    rows = [_whole(inner_cells(count, faces))]
    cells = list(corner_cells(count, faces))
    for seam in SEAMS:
        present = [index for index in (0, 1) if seam.faces[index] in faces]
        if len(present) == 2:
            rows.append(_on_seam(count, seam))
        elif present:
            face, edge = seam.faces[present[0]], seam.edges[present[0]]
            along, middle = _on_edge(count, face, edge)
            rows.append(along)
            if seam.column < period_of(faces):
                cells += middle
    rows.append(_packed(count, faces, cells))
    blocks, turns, labels = (torch.cat(part)[:, _NESTED] for part in zip(*rows, strict=True))

    # Numbers in the set, and each shifted window where its first block has its own.
    per_face = (2 * count) ** 2
    position = torch.zeros(12, dtype=torch.int64)
    position[list(faces)] = torch.arange(len(faces))
    blocks = position[blocks // per_face] * per_face + blocks % per_face
    order = blocks[:, 0].argsort()
    inside = turned_squares(half)[turns[order]]
    permutation = (blocks[order][..., None] * half**2 + inside).reshape(-1)
    return permutation, labels[order].repeat_interleave(half**2, dim=1)


def _whole(blocks: Tensor, turns: Tensor | None = None) -> _Rows:
    """Windows of one cell each."""
    nothing = torch.zeros_like(blocks)
    return blocks, nothing if turns is None else turns, nothing


def _on_seam(count: int, seam: Seam) -> _Rows:
    """The cells between two faces of the set."""
    blocks = torch.empty(count - 1, 4, dtype=torch.int64)
    turns = torch.zeros_like(blocks)
    for face, edge, turn in zip(seam.faces, seam.edges, (0, seam.turns), strict=True):
        own, places = edge_blocks(count, face, edge)
        places = [(place + turn) % 4 for place in places]
        blocks[:, places], turns[:, places] = own, turn
    return _whole(blocks, turns)


def _on_edge(count: int, face: int, edge: str) -> tuple[_Rows, list[Cell]]:
    """Half cells at the edge of the set: the i-th beside the i-th last, and the one in the middle.

    Two that stand beside each other so are no neighbours.
    """
    own, places = edge_blocks(count, face, edge)
    pairs = (count - 1) // 2
    blocks = torch.empty(pairs, 4, dtype=torch.int64)
    first = Cell(tuple(places), (0, 0), (0, 0))
    others = list(beside(first, [first]).places)
    blocks[:, places], blocks[:, others] = own[:pairs], own.flip(0)[:pairs]
    labels = torch.zeros_like(blocks)
    labels[:, others] = 1
    middle = [
        Cell(first.places, tuple(pair), (0, 0)) for pair in own[pairs : count - pairs - 1].tolist()
    ]
    return (blocks, torch.zeros_like(blocks), labels), middle


def _packed(count: int, faces: tuple[int, ...], cells: list[Cell]) -> _Rows:
    """The windows of the cells at corners and in the middle of the set's edges.

    ``cells``: one of each orbit of the turns that keep the set.
    """
    per_face, period = (2 * count) ** 2, period_of(faces)
    order = 4 // period

    def image(cell: Cell, turn: int) -> Cell:
        return cell.rotated(turn * period, per_face)

    if count == 1:
        cells = _lone_faces(cells, period)
    windows = [[image(cell, turn)] for cell in cells if len(cell) == 4 for turn in range(order)]
    cells = [cell for cell in cells if len(cell) < 4]
    known = sorted(
        {block for cell in cells for turn in range(order) for block in image(cell, turn).blocks}
    )
    around = neighbours(2 * count, torch.tensor(known, dtype=torch.int64)).tolist()
    near = {block: {*found} for block, found in zip(known, around, strict=True)}

    def touch(first: Cell, second: Cell) -> bool:
        return any(near[block] & {*second.blocks} for block in first.blocks)

    windows += pack(cells, order, image, touch)
    rows = torch.zeros(3, len(windows), 4, dtype=torch.int64)
    for row, window in enumerate(windows):
        for label, cell in enumerate(window):
            rows[0, row, list(cell.places)] = torch.tensor(cell.blocks)
            rows[1, row, list(cell.places)] = torch.tensor(cell.turns)
            rows[2, row, list(cell.places)] = label
    return rows[0], rows[1], rows[2]


def _lone_faces(cells: list[Cell], period: int) -> list[Cell]:
    """Windows of a whole face: the quarters of one that touches no other stay together."""
    quarters: dict[tuple[int, int], list[int]] = {}
    for cell in cells:
        if len(cell) == 1:
            row, column = divmod(cell.blocks[0] // 4, 4)
            # A quarter of an image of the face: of the face itself after some turns.
            block = 4 * (4 * row + column % period) + cell.blocks[0] % 4
            quarters.setdefault((row, column % period), []).append(block)
    lone = {face: sorted(blocks) for face, blocks in quarters.items() if len(blocks) == 4}
    kept = [
        cell
        for cell in cells
        if len(cell) > 1 or (cell.blocks[0] // 16, cell.blocks[0] // 4 % period) not in lone
    ]
    return kept + [
        Cell((0, 1, 2, 3), (south, east, north, west), (0, 0, 0, 0))
        for south, east, west, north in lone.values()
    ]
