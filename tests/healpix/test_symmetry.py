"""Quarter turns take centres to centres, form a group, and act on maps of every resolution."""

from __future__ import annotations

import pytest
import torch

from geocore.healpix.grid import ALL_FACES, Ordering, nest2xyf, pixel_centres, xyf2nest
from geocore.healpix.symmetry import QuarterTurns, quarter_turn

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
