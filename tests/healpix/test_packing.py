"""Packing: windows are full, cells stay whole where they can, images of windows are windows."""

from __future__ import annotations

import pytest

from geocore.healpix.cells import Cell
from geocore.healpix.packing import beside, pack

PER_FACE = 100


def cells(
    single: int = 0, x: int = 0, y: int = 0, diagonal: int = 0, triple: int = 0
) -> list[Cell]:
    """So many cells of each shape, of blocks of the first face, numbered on."""
    shapes: list[tuple[int, ...]] = [(0,)] * single
    shapes += [(0, 1)] * x + [(3, 0)] * y + [(0, 2)] * diagonal + [(0, 1, 3)] * triple
    found, block = [], 0
    for places in shapes:
        found.append(Cell(places, tuple(range(block, block + len(places))), (0,) * len(places)))
        block += len(places)
    return found


def packed(parts: list[Cell], order: int = 1) -> tuple[list[list[Cell]], int]:
    """The windows, verified, and how many orbits of cells have been cut."""

    def image(cell: Cell, turn: int) -> Cell:
        return cell.rotated(turn * 4 // order, PER_FACE)

    windows = pack(parts, order, image, lambda first, second: False)
    blocks = [block for window in windows for cell in window for block in cell.blocks]
    expected = [b for cell in parts for turn in range(order) for b in image(cell, turn).blocks]
    assert sorted(blocks) == sorted(expected)
    for window in windows:
        assert sorted(place for cell in window for place in cell.places) == [0, 1, 2, 3]
    # A rotated window is one, with the same places of the same cells.
    contents = {frozenset(window) for window in map(_without_shift, windows)}
    for window in windows:
        rotated = [image(cell, 1) for cell in window]
        assert frozenset(_without_shift(rotated)) in contents
    whole = {frozenset(cell.blocks) for window in windows for cell in window}
    return windows, sum(frozenset(cell.blocks) not in whole for cell in parts)


def _without_shift(window: list[Cell]) -> list[Cell]:
    """Cells with differences of places only: where a cell stands in a window says nothing."""
    steps = {0: (0, 0), 1: (1, 0), 2: (1, 1), 3: (0, 1)}
    origin = [steps[cell.places[0]] for cell in window]
    return [
        Cell(
            tuple(3 * (steps[place][0] - x) + steps[place][1] - y for place in cell.places),
            cell.blocks,
            cell.turns,
        )
        for cell, (x, y) in zip(window, origin, strict=True)
    ]


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize(
    ("shapes", "cuts"),
    [
        ({"single": 4}, 0),
        ({"x": 2}, 0),
        ({"y": 2, "x": 2}, 0),
        ({"x": 1, "y": 1}, 0),
        ({"x": 1, "single": 2}, 0),
        ({"triple": 3, "single": 3, "x": 4}, 0),
        ({"triple": 2, "single": 2, "diagonal": 2}, 0),
        ({"triple": 1, "single": 3, "diagonal": 1}, 0),
        ({"triple": 2, "x": 1}, 1),  # a pair gives two single blocks
        ({"triple": 2, "x": 1, "diagonal": 1, "single": 2}, 1),
        ({"triple": 4}, 1),  # one gives single blocks to the three others
        ({"triple": 4, "x": 2}, 2),
        ({"diagonal": 1, "x": 1}, 1),
        ({"diagonal": 3, "x": 3}, 1),
    ],
)  # fmt: skip
def test_cells_stay_whole(shapes: dict[str, int], cuts: int, order: int) -> None:
    assert packed(cells(**shapes), order)[1] == cuts


def test_of_three_blocks_an_end_is_cut_off() -> None:
    """What stays together has a shared edge: the block in the middle and one beside it."""
    (middle, *ends) = cells(triple=1)[0].blocks
    windows, _ = packed(cells(triple=1), 4)
    (kept,) = {cell.blocks for window in windows for cell in window if middle in cell.blocks}
    assert kept in [(middle, end) for end in ends]
    assert len(windows) == 3


def test_cells_stand_beside_each_other() -> None:
    """A pair moves across its own direction; only what does not fit so is turned."""
    x, y, diagonal = cells(x=1)[0], cells(y=1)[0], cells(diagonal=1)[0]
    assert beside(x, []) == x
    assert beside(x, [x]) == Cell((3, 2), x.blocks, (0, 0))
    assert beside(y, [y]) == Cell((2, 1), y.blocks, (0, 0))
    assert beside(y, [x]) == Cell((3, 2), y.blocks, (1, 1))
    assert beside(diagonal, [diagonal]) == diagonal.turned(1)
    single = Cell((2,), (7,), (0,))
    assert beside(single, [x]) == Cell((2,), (7,), (0,)) and beside(single, [x, x]).places == (2,)


def test_of_two_partners_the_one_that_does_not_touch() -> None:
    parts = cells(single=2, triple=2)

    def touch(first: Cell, second: Cell) -> bool:
        return {first.blocks[0], second.blocks[0]} in ({0, 2}, {1, 5})

    windows = pack(parts, 1, lambda cell, turn: cell, touch)
    found = {frozenset(cell.blocks[0] for cell in window) for window in windows}
    assert found == {frozenset({2, 1}), frozenset({5, 0})}
