"""Seams, periods and the cells at the corners of faces."""

from __future__ import annotations

import pytest
import torch

from geocore.healpix.adjacency import DIRECTIONS, face_neighbours
from geocore.healpix.cells import SEAMS, Cell, corner_cells, edge_blocks, inner_cells, period_of
from geocore.healpix.grid import ALL_FACES
from tests.healpix.shifted import adjacent_pairs, components


def test_seams_are_the_shared_edges_of_faces() -> None:
    around = face_neighbours()
    listed = set()
    for seam in SEAMS:
        for (face, other), edge in zip((seam.faces, seam.faces[::-1]), seam.edges, strict=True):
            assert around[face, DIRECTIONS.index(edge)] == other
            listed.add((face, edge))
    assert len(SEAMS) == 24 and len(listed) == 48


def test_a_seam_is_the_same_point_in_both_faces() -> None:
    """The i-th blocks of the one face have a shared edge with the i-th of the other."""
    count = 4
    pairs = set(map(tuple, adjacent_pairs(2 * count, ALL_FACES, edges_only=True).T.tolist()))
    for seam in SEAMS:
        (first, _), (second, _) = (
            edge_blocks(count, face, edge)
            for face, edge in zip(seam.faces, seam.edges, strict=True)
        )
        assert first.shape == (count - 1, 2)
        for one, other in zip(first.reshape(-1).tolist(), second.reshape(-1).tolist(), strict=True):
            assert (one, other) in pairs


def test_periods() -> None:
    assert period_of(ALL_FACES) == period_of((4, 5, 6, 7)) == 1
    assert period_of((0, 2)) == period_of((1, 3, 4, 6, 8, 9, 10, 11)) == 2
    assert period_of((0,)) == period_of((0, 1, 4, 5)) == period_of(tuple(range(11))) == 4


@pytest.mark.parametrize("count", [1, 2, 4])
def test_every_block_is_in_one_cell(count: int) -> None:
    """Inner cells, seams and the corners of faces, with all rotations, are a partition."""
    per_face = (2 * count) ** 2
    blocks = [inner_cells(count, ALL_FACES).reshape(-1)]
    blocks += [
        edge_blocks(count, *side)[0].reshape(-1)
        for seam in SEAMS
        for side in zip(seam.faces, seam.edges, strict=True)
    ]
    cells = list(corner_cells(count, ALL_FACES))
    assert sorted(map(len, cells)) == [1, 1, 3, 3, 4]
    for cell in cells:
        blocks += [torch.tensor(cell.rotated(turn, per_face).blocks) for turn in range(4)]
    assert torch.equal(torch.cat(blocks).sort().values, torch.arange(12 * per_face))


@pytest.mark.parametrize("faces", [(0, 1, 2, 3, 5), (0, 1, 2), (0, 2, 5), (8, 9), (3, 7, 8, 11)])
def test_cells_hang_together_and_start_upright(faces: tuple[int, ...]) -> None:
    count = 2
    pairs = adjacent_pairs(2 * count, ALL_FACES)
    for cell in corner_cells(count, faces):
        assert cell.turns[0] == 0 and len({*cell.places}) == len(cell)
        blocks = torch.tensor(cell.blocks)
        inside = torch.isin(pairs[0], blocks) & torch.isin(pairs[1], blocks)
        joined = components(12 * (2 * count) ** 2, pairs[:, inside])
        assert len(joined[blocks].unique()) == 1


def test_turning_a_cell_and_rotating_the_sphere() -> None:
    cell = Cell((0, 1), (3, 17), (0, 1))
    assert cell.turned(1) == Cell((1, 2), (3, 17), (1, 2))
    assert cell.turned(4) == cell and cell.turned(2).upright() == cell
    assert cell.rotated(1, 16) == Cell((0, 1), (19, 33), (0, 1))
    assert cell.rotated(4, 16) == cell and cell.rotated(3, 16).blocks == (51, 1)
