"""Entries are shared by exactly those tokens and pairs that the laws name."""

from __future__ import annotations

import pytest
import torch

from geocore.healpix.symmetry import quarter_turn
from geocore.models.pairs import free_pairs, orbit_pairs, orbit_positions, window_pairs

ROWS = [tuple(range(12)), (4, 5, 6, 7), (0, 1, 2, 3, 8, 9, 10, 11)]


def test_window_of_four() -> None:
    # Nested 0..3 lie at (0, 0), (1, 0), (0, 1), (1, 1); an entry is 3 (dx + 1) + dy + 1.
    pairs, entries = window_pairs(4)
    assert entries == 9
    assert pairs.tolist() == [[4, 7, 5, 8], [1, 4, 2, 5], [3, 6, 4, 7], [0, 3, 1, 4]]


@pytest.mark.parametrize("count", [1, 16, 64])
def test_window_pairs_share_by_displacement(count: int) -> None:
    pairs, entries = window_pairs(count)
    bits = [f"{p:016b}"[::-1] for p in range(count)]
    place = [(int(b[0::2][::-1], 2), int(b[1::2][::-1], 2)) for b in bits]
    seen: dict[tuple[int, int], int] = {}
    for i, (x, y) in enumerate(place):
        for j, (u, v) in enumerate(place):
            assert seen.setdefault((u - x, v - y), int(pairs[i, j])) == int(pairs[i, j])
    assert sorted(seen.values()) == list(range(entries))


@pytest.mark.parametrize("faces", ROWS)
@pytest.mark.parametrize("per_face", [1, 4])
def test_orbits_are_those_of_the_quarter_turns(faces: tuple[int, ...], per_face: int) -> None:
    turn = quarter_turn(round(per_face**0.5), faces)
    place, places = orbit_positions(faces, per_face)
    pairs, entries = orbit_pairs(faces, per_face)
    assert torch.equal(place[turn], place)
    assert torch.equal(pairs[turn][:, turn], pairs)
    # As many entries as orbits: what is not related by a turn shares nothing.
    assert places == len(faces) * per_face // 4 == len(place.unique())
    assert entries == (len(faces) * per_face) ** 2 // 4 == len(pairs.unique())


def test_any_set_of_faces() -> None:
    pairs, entries = orbit_pairs((2, 3, 9), 1)
    # Rows 0, 0, 2 become 0, 0, 1; columns are 2, 3, 1: an entry is 8 row_i + 4 row_j + turns.
    assert entries == 16
    assert pairs.tolist() == [[0, 1, 4 + 3], [3, 0, 4 + 2], [8 + 1, 8 + 2, 12]]


def test_free_pairs_share_nothing() -> None:
    pairs, entries = free_pairs(4)
    assert entries == 16
    assert sorted(pairs.flatten().tolist()) == list(range(16))


@pytest.mark.parametrize("count", [0, 2, 8, 9])
def test_a_window_is_a_power_of_four(count: int) -> None:
    with pytest.raises(ValueError, match=f"count is {count}; expected a power of four"):
        window_pairs(count)
