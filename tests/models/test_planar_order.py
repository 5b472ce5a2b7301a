"""Nested order on the plane: four in a row are a patch, a run is a square, shifts are rolls."""

from __future__ import annotations

import pytest
import torch

from geocore.models.planar_order import PlanarOrder


def test_the_order_by_hand() -> None:
    order = PlanarOrder(3, 4, 2)
    assert (order.rows, order.columns, order.places) == (4, 4, 16)
    assert order.numbers().tolist() == [
        [0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15],
    ]  # fmt: skip
    assert order.inside().tolist() == [True] * 10 + [False] * 2 + [True] * 2 + [False] * 2


@pytest.mark.parametrize(("height", "width", "side"), [(8, 8, 8), (5, 9, 4), (1, 3, 2)])
def test_four_in_a_row_are_a_patch(height: int, width: int, side: int) -> None:
    order = PlanarOrder(height, width, side)
    above = order.parents()
    row, column = order.coordinates()
    rows, columns = above.coordinates()
    assert torch.equal(row.reshape(-1, 4) // 2, rows[:, None].expand(-1, 4))
    assert torch.equal(column.reshape(-1, 4) // 2, columns[:, None].expand(-1, 4))
    # A parent is inside if any of its children is.
    assert torch.equal(order.inside().reshape(-1, 4).any(dim=1), above.inside())


@pytest.mark.parametrize("shift", [False, True])
@pytest.mark.parametrize(("height", "width", "side"), [(16, 16, 8), (13, 9, 8), (8, 24, 8)])
def test_plans_are_swins_own(height: int, width: int, side: int, shift: bool) -> None:
    window, half = 16, 2
    order = PlanarOrder(height, width, side)
    plan = order.plan(window, shift)
    assert torch.equal(plan.permutation[plan.inverse], torch.arange(order.places))
    # The published way: roll the image, cut it into squares, number the regions of the border.
    picture = torch.arange(order.rows * order.columns).reshape(order.rows, order.columns)
    kinds = torch.ones_like(picture)
    if shift:
        picture = picture.roll((-half, -half), (0, 1))
        kinds[-half:] += 2
        kinds[:, -half:] += 1
    row, column = order.coordinates()
    squares = picture[row, column].reshape(-1, window)
    number = (row * order.columns + column)[plan.permutation].reshape(-1, window)
    assert torch.equal(number, squares)
    real = (picture // order.columns < height) & (picture % order.columns < width)
    expected = torch.where(real, kinds, 0)[row, column].reshape(-1, window)
    mixed = (expected != expected[:, :1]).any(dim=1)
    assert torch.equal(plan.masked, mixed.nonzero().flatten())
    same = expected[:, :, None] == expected[:, None, :]
    found = plan.labels[:, :, None] == plan.labels[:, None, :]
    assert torch.equal(found, same[mixed])


def test_a_single_window_does_not_move() -> None:
    plan = PlanarOrder(4, 12, 4).plan(16, True)
    row, column = PlanarOrder(4, 12, 4).coordinates()
    assert torch.equal(row[plan.permutation], row)
    assert torch.equal(column[plan.permutation], (column + 2) % 12)
    still = PlanarOrder(4, 4, 4).plan(16, True)
    assert torch.equal(still.permutation, torch.arange(16)) and not len(still.masked)


def test_impossible_orders_are_refused() -> None:
    with pytest.raises(ValueError, match="the grid is 0 x 4; expected at least 1 x 1"):
        PlanarOrder(0, 4, 2)
    with pytest.raises(ValueError, match="side is 3; expected a power of two"):
        PlanarOrder(4, 4, 3)
    with pytest.raises(ValueError, match="window is 64; expected a power of four up to 16"):
        PlanarOrder(8, 8, 4).plan(64, True)
    with pytest.raises(ValueError, match="side is 1; expected at least 2"):
        PlanarOrder(4, 4, 1).parents()
