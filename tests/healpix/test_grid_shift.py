"""The grid shift against the geometry: cells around the windows' corners, in right order."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from geocore.healpix.cells import period_of
from geocore.healpix.grid import ALL_FACES, nest2xyf, pix2vec, pixel_numbers, xyf2nest
from geocore.healpix.shifts import shift_plan
from tests.healpix.shifted import (
    FACE_SETS,
    SIZES,
    adjacent_pairs,
    all_labels,
    groups,
    healpy,
    window_corners,
)

EVERY_SET = [faces for size in range(1, 13) for faces in itertools.combinations(range(12), size)]
every_size = pytest.mark.parametrize(("nside", "window"), SIZES)
every_set = pytest.mark.parametrize("faces", FACE_SETS, ids=str)


def poles(nside: int, faces: tuple[int, ...], window: int) -> Tensor:
    """The tokens whose quarter of a window touches a pole."""
    count, number = nside // round(window**0.5), pixel_numbers(nside, faces)
    quarter = window // 4
    x, y, face = nest2xyf(2 * count, number // quarter)
    north = (face < 4) & (x == 2 * count - 1) & (y == 2 * count - 1)
    south = (face >= 8) & (x == 0) & (y == 0)
    return torch.logical_or(north, south)


@every_set
@every_size
def test_a_label_is_a_cell_whole(nside: int, window: int, faces: tuple[int, ...]) -> None:
    """Tokens attend to each other iff their quarters of windows touch one corner of a window.

    A pole's cell is cut into its four quarters where a quarter turn keeps the faces. A face that
    is a window and has no other beside it stays together.
    """
    corner = window_corners(nside, faces, window).clone()
    group = groups(shift_plan(nside, faces, window, "grid"), window)
    at_pole = poles(nside, faces, window)
    if period_of(faces) == 1:
        number = pixel_numbers(nside, faces)
        corner[at_pole] = corner.max() + 1 + number[at_pole] // (window // 4)
    if window == nside**2:
        around = healpy().get_all_neighbours(1, np.array(faces), nest=True)
        for place, beside in enumerate(around.T):
            if not {*beside} & {*faces}:
                corner[place * window : (place + 1) * window] = -1 - place
    for first, second in ((corner, group), (group, corner)):
        assert len((first * 2**32 + second).unique()) == len(first.unique())


@every_set
@every_size
def test_neighbours_meet_in_a_window_or_in_a_shifted_one(
    nside: int, window: int, faces: tuple[int, ...]
) -> None:
    """Two tokens with a shared edge are together before or after the shift, but at cut poles."""
    pairs = adjacent_pairs(nside, faces, edges_only=True)
    group = groups(shift_plan(nside, faces, window, "grid"), window)
    apart = (group[pairs[0]] != group[pairs[1]]) & (pairs[0] // window != pairs[1] // window)
    half, cut = round(window**0.5) // 2, period_of(faces) == 1
    poles_within = ({0, 1, 2, 3} <= {*faces}) + ({8, 9, 10, 11} <= {*faces})
    assert int(apart.sum()) == (2 * 4 * half * poles_within if cut else 0)
    at_pole = poles(nside, faces, window)
    assert at_pole[pairs[:, apart]].all()


@every_set
@every_size
def test_positions_in_a_window_are_those_on_the_sphere(
    nside: int, window: int, faces: tuple[int, ...]
) -> None:
    """Slots side by side under one label hold pixels with a shared edge, and the other way round.

    Seen from outside, y lies to the left of x. The other way round has one exception: at the
    corners between three faces the two polar faces share an edge that the window's plane lacks.
    """
    plan, side = shift_plan(nside, faces, window, "grid"), round(window**0.5)
    labels = all_labels(plan, window)
    x, y, _ = nest2xyf(side, torch.arange(window))
    distance = (x[:, None] - x).abs() + (y[:, None] - y).abs()
    numbers = pixel_numbers(nside, faces)[plan.permutation].reshape(-1, window)

    edges = adjacent_pairs(nside, faces, edges_only=True)
    tokens = len(plan.permutation)
    edge_keys = (edges[0] * tokens + edges[1]).sort().values
    first, second = (distance == 1).nonzero().unbind(1)
    beside = labels[:, first] == labels[:, second]
    token = plan.permutation.reshape(-1, window)
    keys = (token[:, first] * tokens + token[:, second])[beside]
    assert torch.isin(keys, edge_keys).all()

    group, slot = groups(plan, window), plan.inverse % window
    together = edges[:, group[edges[0]] == group[edges[1]]]
    apart = together[:, distance[slot[together[0]], slot[together[1]]] != 1]
    corners = sum(
        {4 + column, cap + column, cap + (column - 1) % 4} <= {*faces}
        for cap in (0, 8)
        for column in range(4)
    )
    assert apart.shape[1] == 2 * corners * (side // 2)

    centres = pix2vec(nside, numbers)
    inside = (x < side - 1) & (y < side - 1)
    slot = inside.nonzero().flatten()
    right, up = (xyf2nest(side, x[slot] + dx, y[slot] + 1 - dx, 0 * slot) for dx in (1, 0))
    known = (labels[:, slot] == labels[:, right]) & (labels[:, slot] == labels[:, up])
    origin = centres[:, slot]
    normal = torch.linalg.cross(centres[:, right] - origin, centres[:, up] - origin)
    assert known.any() and ((normal * origin).sum(dim=2)[known] > 0).all()


@pytest.mark.parametrize(
    ("nside", "window", "faces"),
    [(nside, window, faces) for nside, window in SIZES for faces in FACE_SETS if window < nside**2]
    + [(8, 4, faces) for faces in EVERY_SET[::200]],
    ids=str,
)
def test_what_shares_a_window_under_other_labels_lies_elsewhere(
    nside: int, window: int, faces: tuple[int, ...]
) -> None:
    """Neighbours inside a window have one label, but for the quarters of a cut pole."""
    pairs = adjacent_pairs(nside, faces)
    group = groups(shift_plan(nside, faces, window, "grid"), window)
    inside = pairs[:, group[pairs[0]] // window == group[pairs[1]] // window]
    apart = inside[:, group[inside[0]] != group[inside[1]]]
    assert poles(nside, faces, window)[apart].all()
    assert period_of(faces) < 4 or not apart.numel()


@pytest.mark.parametrize("window", [4, 16, 64])
@pytest.mark.parametrize("nside", [16, 32, 128])
def test_how_many_windows_have_labels(nside: int, window: int) -> None:
    """8 on the sphere: the three-face corners, each beside a quarter of a pole's window.

    At the edge of a set of faces half windows pair up, one for each window along it.
    """
    count = nside // round(window**0.5)
    expected = {ALL_FACES: 8, tuple(range(8)): 4 * count + 4, (0, 1, 2, 3): 4 * count}
    expected |= {(4, 5, 6, 7): 8 * count - 4, (7,): 2 * count - 1}
    for faces, masked in expected.items():
        assert len(shift_plan(nside, faces, window, "grid").masked) == masked


@pytest.mark.parametrize("step", [41, pytest.param(1, marks=pytest.mark.slow)])
def test_any_set_of_faces(step: int) -> None:
    """No label joins two cells; cells are cut for want of single quarters only.

    A cell of three quarters needs a single one beside it. One more cut is needed where two
    quarters that touch at a corner are left with another pair: no window has them both.
    """
    nside, window = 4, 4
    for faces in EVERY_SET[::step]:
        cell = window_corners(nside, faces, window).clone()
        group = groups(shift_plan(nside, faces, window, "grid"), window)
        at_pole = poles(nside, faces, window)
        if period_of(faces) < 4:
            cell[at_pole] = cell.max() + 1 + group[at_pole]
        _, cell, size = cell.unique(return_inverse=True, return_counts=True)
        parts = torch.stack([cell, group]).unique(dim=1)
        assert parts.shape[1] == len(group.unique()), faces
        cuts = int((parts[0].bincount() > 1).sum())

        edges = adjacent_pairs(nside, faces, edges_only=True)
        edges = edges[:, cell[edges[0]] == cell[edges[1]]]
        linked = set(cell[edges[0]].tolist())
        diagonal = any(size[c] == 2 and c not in linked for c in range(len(size)))
        surplus = int((size == 3).sum() - (size == 1).sum())
        assert cuts <= max(surplus, 0) + diagonal, faces

        plan, tokens = shift_plan(nside, faces, nside**2, "grid"), len(cell)
        assert torch.equal(plan.permutation.sort().values, torch.arange(tokens)), faces
