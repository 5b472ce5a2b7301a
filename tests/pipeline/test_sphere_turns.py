"""Turns from a full circle: exact where the grid allows it, and the same as a rotation by hand."""

from __future__ import annotations

import pytest
import torch

from geocore.data.tabletype import TableType
from geocore.healpix.grid import pixel_centres
from geocore.pipeline.sphere_turns import circle
from geocore.so3.driscoll_healy import driscoll_healy_directions

WHOLE = TableType(grid="healpix", nside=8, ordering="nested", faces=tuple(range(12)), channels=1)
ROWS = TableType(grid="healpix", nside=8, ordering="nested", faces=tuple(range(8)), channels=1)
ONE = TableType(grid="healpix", nside=8, ordering="nested", faces=(0, 4, 5), channels=1)
GRID = TableType(grid="driscoll-healy", height=16, width=16, channels=1)
ODD = TableType(grid="driscoll-healy", height=10, width=10, channels=1)


@pytest.mark.parametrize(
    ("kind", "exact"),
    [(WHOLE, [0, 90, 180, 270]), (ROWS, [0, 90, 180, 270]), (ONE, [0]),
     (GRID, [0, 90, 180, 270]), (ODD, [0])],
)  # fmt: skip
def test_quarter_turns_are_exact_where_the_grid_keeps_them(
    kind: TableType, exact: list[int]
) -> None:
    turns = circle(kind, "z", 8)
    assert [turn.angle for turn in turns] == [45.0 * number for number in range(8)]
    assert [turn.angle for turn in turns if turn.exact] == exact
    assert [turn.angle for turn in circle(kind, "x", 8) if turn.exact] == [0]


def bump(directions: torch.Tensor, centre: list[float]) -> torch.Tensor:
    """A smooth function, largest at ``centre``."""
    return (directions @ torch.tensor(centre, dtype=torch.float64) - 1).mul(2).exp().float()


@pytest.mark.parametrize("axis", ["x", "y", "z"])
@pytest.mark.parametrize(("kind", "off"), [(WHOLE, 0.02), (GRID, 1e-4)])
def test_they_turn_as_the_right_hand_does(kind: TableType, off: float, axis: str) -> None:
    """A quarter turn takes x to y about z, y to z about x and z to x about y."""
    before = {"x": [0.0, 1, 0], "y": [0.0, 0, 1], "z": [1.0, 0, 0]}[axis]
    after = {"x": [0.0, 0, 1], "y": [1.0, 0, 0], "z": [0.0, 1, 0]}[axis]
    if kind.grid == "healpix":
        points = pixel_centres(8)
    else:
        points = driscoll_healy_directions(8)
    turn = circle(kind, axis, 4)[1]  # type: ignore[arg-type]
    found = turn.act(bump(points, before)[None, ..., None])[0, ..., 0]
    assert float((found - bump(points, after)).abs().max()) < off


def test_what_a_partial_map_cannot_know_is_told() -> None:
    turns = circle(ONE, "z", 4)
    assert bool(turns[0].known.all())
    ones = torch.ones(1, ONE.pixels, 1)
    assert 0 < int(turns[1].known.sum()) < ONE.pixels
    assert bool((turns[1].act(ones)[0, ~turns[1].known] == 0).all())
