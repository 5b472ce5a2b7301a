"""Cells with fewer than four blocks, packed into whole windows.

A packed window holds cells from several places of the sphere, each with a label of its own. Only
one cell of each orbit of the rotations that keep the set of faces is packed, and the window's
images with it: so a rotation takes windows to windows and cells to cells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from geocore.healpix.cells import Cell

__all__ = ["beside", "pack"]

_X, _Y = 1, 3  # the sum of a pair's two places, modulo 4; even for diagonals


def pack(
    cells: Sequence[Cell],
    order: int,
    image: Callable[[Cell, int], Cell],
    touch: Callable[[Cell, Cell], bool],
) -> list[list[Cell]]:
    """Windows of four blocks, each a list of cells that fill its places.

    ``cells``: one of each orbit of a cyclic group of ``order`` 1, 2 or 4, no cell of which is
    fixed by a rotation; ``image(cell, k)`` is a cell rotated by its k-th element. All orbits
    together have a multiple of four blocks. ``touch`` says whether two cells have neighbouring
    blocks: of those that could stand beside a cell, one that does not touch it is taken first.

    A cell of three blocks takes a single block beside it. Where these run out, first diagonal
    pairs are cut, then pairs, then cells of three; nothing else is ever cut but a diagonal pair
    that has neither another nor two single blocks to stand beside. Pairs stand beside pairs,
    singles beside singles.
    """
    singles, pairs, diagonals, triples = (
        [cell for cell in cells if _shape(cell) == shape]
        for shape in ("single", "pair", "diagonal", "triple")
    )
    windows: list[list[Cell]] = []

    def fill(cells: Sequence[Cell], images: int) -> None:
        window: list[Cell] = []
        for cell in cells:
            window.append(beside(cell, window))
        windows.extend([image(cell, turn) for cell in window] for turn in range(images))

    def take(pool: list[Cell], *window: Cell) -> Cell:
        """The cell of ``pool``, in one of its images, that suits best; out of the pool."""
        choices = []
        for index, cell in enumerate(pool):
            turned = beside(cell, window).turns != cell.turns
            for turn in range(order):
                touching = sum(touch(image(cell, turn), other) for other in window)
                choices.append((touching, turned, abs(turn - order // 2), turn, index))
        *_, turn, index = min(choices)
        return image(pool.pop(index), turn)

    while len(triples) > len(singles):
        single, rest = _cut((diagonals or pairs or triples).pop())
        singles.append(single)
        (pairs if len(rest) == 2 else singles).append(rest)
    for triple in triples:
        fill([triple, take(singles, triple)], order)
    while diagonals:
        window = [diagonals.pop()]
        if diagonals:
            fill([*window, take(diagonals, *window)], order)
        elif len(singles) > 1:
            window.append(take(singles, *window))
            fill([*window, take(singles, *window)], order)
        else:
            singles.extend(_cut(*window))

    # Two images of one pair stand beside each other, and all images of one single.
    step = max(order // 2, 1)
    while pairs:
        window = [pairs.pop()]
        if order == 1 and pairs:
            window.append(take(pairs, *window))
        elif order == 1:
            window.append(take(singles, *window))
            window.append(take(singles, *window))
        fill([image(cell, turn) for cell in window for turn in range(0, order, step)], step)
    while singles:
        window = [singles.pop()]
        while len(window) * order < 4:
            window.append(take(singles, *window))
        fill([image(cell, turn) for cell in window for turn in range(order)], 1)
    return windows


def beside(cell: Cell, window: Sequence[Cell]) -> Cell:
    """``cell`` in places that the cells of ``window`` leave free, turned only if it must be."""
    free = set(range(4)).difference(*(other.places for other in window))
    axis = sum(cell.places) % 4
    if len(cell) == 1:
        return Cell((min(free),), cell.blocks, cell.turns)
    if free.issuperset(cell.places):
        return cell
    if len(cell) == 2 and axis in (_X, _Y):
        # A pair along x moves by one block along y, and the other way round.
        places = tuple(3 - place if axis == _X else place ^ 1 for place in cell.places)
        if free.issuperset(places):
            return Cell(places, cell.blocks, cell.turns)
    return beside(cell.turned(1), window)


def _shape(cell: Cell) -> str:
    if len(cell) == 2:
        return "pair" if sum(cell.places) % 2 else "diagonal"
    return {1: "single", 3: "triple"}[len(cell)]


def _cut(cell: Cell) -> tuple[Cell, Cell]:
    """A block and the rest, each with its own axes; of three blocks, one of the two ends."""
    parts = sorted(zip(cell.places, cell.blocks, cell.turns, strict=True))
    if len(cell) == 3:
        missing = ({0, 1, 2, 3} - {*cell.places}).pop()
        parts.sort(key=lambda part: part[0] != (missing + 1) % 4)
    first, *rest = parts
    places, blocks, turns = zip(*rest, strict=True)
    return Cell((first[0],), (first[1],), (0,)), Cell(places, blocks, turns).upright()
