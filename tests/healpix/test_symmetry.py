"""Quarter turns take centres to centres, form a group, and act on maps of every resolution."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch

from geocore.healpix.grid import ALL_FACES, Ordering, nest2xyf, pixel_centres, xyf2nest
from geocore.healpix.symmetry import (
    GridSymmetries,
    QuarterTurns,
    grid_symmetry,
    quarter_turn,
)

FACE_SETS = [ALL_FACES, tuple(range(8)), (4, 5, 6, 7)]


@pytest.mark.parametrize("ordering", ["nested", "ring"])
@pytest.mark.parametrize("faces", FACE_SETS)
@pytest.mark.parametrize("nside", [1, 2, 8])
def test_centres_go_to_centres(nside: int, faces: tuple[int, ...], ordering: Ordering) -> None:
    centres, group = pixel_centres(nside, faces, ordering), QuarterTurns(nside, faces, ordering)
    for turns in (-1, 0, 1, 2, 3, 6):
        perm = quarter_turn(nside, faces, turns, ordering)
        rotated = centres[perm] @ group.matrix(turns % 4).T
        torch.testing.assert_close(rotated, centres, atol=1e-15, rtol=0)


def test_a_face_goes_to_the_next_of_its_row_with_the_same_index() -> None:
    pixel = torch.arange(12 * 16)
    x, y, face = nest2xyf(4, pixel)
    target = xyf2nest(4, x, y, 4 * (face // 4) + (face + 1) % 4)
    marks = torch.arange(192).double()
    turned = marks[quarter_turn(4)]
    assert torch.equal(turned[target], marks)


def test_a_half_turn_needs_only_opposite_faces() -> None:
    perm = quarter_turn(2, [4, 6], turns=2)
    assert perm.tolist() == [4, 5, 6, 7, 0, 1, 2, 3]


def test_it_rotates_a_function() -> None:
    """The function x becomes x(R^-1 d) = y."""
    x, y, _ = pixel_centres(8).unbind(1)
    torch.testing.assert_close(x[quarter_turn(8)], y, atol=1e-15, rtol=0)


@pytest.mark.parametrize("ordering", ["nested", "ring"])
def test_the_action_is_a_homomorphism(ordering: Ordering) -> None:
    group = QuarterTurns(4, range(8), ordering)
    maps = torch.randn(2, 128, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(group.act(group.identity, maps), maps)
    for first in group:
        assert torch.equal(group.act(group.inverse(first), group.act(first, maps)), maps)
        for second in group:
            together = group.act(group.compose(first, second), maps)
            assert torch.equal(group.act(first, group.act(second, maps)), together)
            product = group.matrix(first) @ group.matrix(second)
            assert torch.equal(group.matrix(group.compose(first, second)), product)
    assert list(group) == [0, 1, 2, 3] and len(group) == group.order == 4


@pytest.mark.parametrize("ordering", ["nested", "ring"])
def test_it_acts_on_tokens_of_coarser_and_finer_grids(ordering: Ordering) -> None:
    group = QuarterTurns(8, ordering=ordering)
    for nside in (1, 2, 4, 8, 16):
        z, x = pixel_centres(nside, ordering=ordering)[:, 2], pixel_centres(nside)[:, 0]
        tokens = torch.stack([z, z * z], dim=1)[None]
        assert tokens.shape[1] == len(x)
        for turns in group:
            torch.testing.assert_close(group.act(turns, tokens), tokens, atol=1e-15, rtol=0)


@pytest.mark.parametrize("ordering", ["nested", "ring"])
@pytest.mark.parametrize("nside", [1, 2, 8])
def test_all_sixteen_take_centres_to_centres(nside: int, ordering: Ordering) -> None:
    centres, group = (
        pixel_centres(nside, ordering=ordering),
        GridSymmetries(nside, ordering=ordering),
    )
    assert list(group) == list(range(16))
    for element in group:
        perm = grid_symmetry(nside, element, ordering=ordering)
        moved = centres[perm] @ group.matrix(element).T
        torch.testing.assert_close(moved, centres, atol=1e-15, rtol=0)


def test_they_include_the_half_turns_and_the_reflection_of_the_issue() -> None:
    group = GridSymmetries(4)
    matrices = [group.matrix(element).tolist() for element in group]
    for diagonal in ((1, -1, -1), (1, 1, -1), (-1, -1, -1)):
        assert torch.diag(torch.tensor(diagonal).double()).tolist() in matrices
    assert [[0, 1, 0], [1, 0, 0], [0, 0, -1]] in matrices  # 180 degrees about (1, 1, 0)


def test_there_are_no_others() -> None:
    """An isometry is known by where it takes three centres; only sixteen choices are isometries."""
    centres = pixel_centres(1)
    frame = centres[:3]  # independent
    grams = frame @ frame.T
    found = 0
    for images in permutations(range(12), 3):
        there = centres[list(images)]
        if (there @ there.T - grams).abs().max() > 1e-12:
            continue
        moved = centres @ torch.linalg.solve(frame, there)
        found += bool((torch.cdist(moved, centres).min(dim=1).values < 1e-12).all())
    assert found == len(GridSymmetries(1)) == 16


@pytest.mark.parametrize("ordering", ["nested", "ring"])
@pytest.mark.parametrize("faces", [ALL_FACES, tuple(range(8)), (4, 6), (0, 9)])
def test_the_whole_group_is_closed(faces: tuple[int, ...], ordering: Ordering) -> None:
    group = GridSymmetries(2, faces, ordering)
    maps = torch.randn(len(faces) * 4, 2, generator=torch.Generator().manual_seed(0))
    identity = torch.eye(3, dtype=torch.float64)
    assert group.elements[0] == group.identity and torch.equal(group.matrix(0), identity)
    for first in group:
        assert torch.equal(group.matrix(first) @ group.matrix(group.inverse(first)), identity)
        for second in group:
            both = group.compose(first, second)
            assert both in group.elements
            product = group.matrix(first) @ group.matrix(second)
            assert torch.equal(group.matrix(both), product)
            moved = group.act(first, group.act(second, maps))
            assert torch.equal(group.act(both, maps), moved)


def test_fewer_faces_have_the_symmetries_that_keep_them() -> None:
    assert len(GridSymmetries(4, range(8))) == 8
    assert GridSymmetries(4, range(8), rotations=True).elements == QuarterTurns.elements
    rotations = GridSymmetries(4, rotations=True)
    assert len(rotations) == 8
    assert all(torch.linalg.det(rotations.matrix(element)) == 1 for element in rotations)
    assert GridSymmetries(4, (0, 5, 6)).elements == (0,)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"faces is \(0, 1\); expected a set that 90 degrees keep"):
        quarter_turn(4, [0, 1])
    with pytest.raises(ValueError, match="expected a set that 90 degrees keep"):
        QuarterTurns(4, [4, 6])
    group = QuarterTurns(4)
    with pytest.raises(ValueError, match="npix is 100; expected 12 faces"):
        group.act(1, torch.zeros(2, 100, 3))
    with pytest.raises(ValueError, match=r"x has shape \(192,\); expected"):
        group.act(1, torch.zeros(192))
    with pytest.raises(ValueError, match="element is 8; expected one of"):
        GridSymmetries(4, range(8)).act(8, torch.zeros(2, 128, 3))
    with pytest.raises(ValueError, match="element is 16; expected 0 to 15"):
        grid_symmetry(4, 16)
    with pytest.raises(ValueError, match="expected a set that z -> -z, then 90 degrees, keeps"):
        grid_symmetry(4, 9, range(8))
