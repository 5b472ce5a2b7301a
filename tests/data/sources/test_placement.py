"""Squares on a canvas: disjoint, inside, uniform, and always as many as there is room for."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from geocore.data.sources.placement import TRIES, place, room


def numbers(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random((TRIES, count)), rng.random(count)


def covered(size: tuple[int, int], side: int, corners: np.ndarray) -> np.ndarray:
    """How many squares lie on each pixel."""
    count = np.zeros(size, int)
    for top, left in corners:
        assert 0 <= top <= size[0] - side and 0 <= left <= size[1] - side
        count[top : top + side, left : left + side] += 1
    return count


@pytest.mark.parametrize(
    ("size", "side", "count"),
    [((60, 60), 28, 4), ((28, 28), 28, 1), ((56, 56), 28, 4), ((30, 7), 3, 20), ((9, 11), 1, 99)],
)
def test_squares_lie_inside_and_apart(size: tuple[int, int], side: int, count: int) -> None:
    """The last four are as full as can be: of these no try need succeed, the tight grid does."""
    assert count == room(size, side)
    for few in {1, count // 2 or 1, count}:
        for seed in range(20):
            corners = place(size, side, *numbers(few, seed))
            found = covered(size, side, corners)
            assert corners.shape == (few, 2) and corners.dtype == np.int64
            assert found.max() == 1 and found.sum() == few * side**2


def test_no_more_fit_than_there_is_room_for() -> None:
    """All ways of putting down one more are tried, on canvases small enough for it."""
    for size, side in (((5, 5), 3), ((3, 7), 2), ((4, 5), 2)):
        corners = list(itertools.product(range(size[0] - side + 1), range(size[1] - side + 1)))
        for chosen in itertools.combinations(corners, room(size, side) + 1):
            assert covered(size, side, np.array(chosen)).max() > 1
    with pytest.raises(ValueError, match="cells has 5 numbers; expected at most 4, the room"):
        place((60, 60), 28, *numbers(5))
    with pytest.raises(ValueError, match=r"where has shape \(16, 2\); expected \(tries, 1\)"):
        place((60, 60), 28, numbers(2)[0], numbers(1)[1])


def test_one_square_is_anywhere_with_equal_probability() -> None:
    at = np.array([place((5, 6), 3, *numbers(1, seed))[0] for seed in range(12_000)])
    counts = np.zeros((3, 4), int)
    np.add.at(counts, tuple(at.T), 1)
    # 1,000 expected in each of 12 places; chi squared with 11 degrees of freedom, 31.3 at 0.1 %.
    assert ((counts - 1000) ** 2 / 1000).sum() < 31.3


def test_the_second_square_is_anywhere_that_the_first_leaves_free() -> None:
    """On a line of 6 places with side 3: the second's places, given the first's, by hand."""
    pairs = [place((3, 8), 3, *numbers(2, seed))[:, 1] for seed in range(6000)]
    counts = np.zeros((6, 6), int)
    np.add.at(counts, tuple(np.array(pairs).T), 1)
    free = {0: [3, 4, 5], 1: [4, 5], 2: [5], 3: [0], 4: [0, 1], 5: [0, 1, 2]}
    for first, places in free.items():
        assert set(np.flatnonzero(counts[first])) == set(places)
        each = 1000 / len(places)
        assert (np.abs(counts[first, places] - each) < 5 * np.sqrt(each)).all()


def test_a_jammed_try_begins_anew_and_after_the_last_the_grid_is_taken() -> None:
    jam, good = [0.5, 0.0], [0.0, 0.0]  # of 3 places the middle one leaves none
    half = np.array([0.9, 0.0])
    assert place((2, 4), 2, np.array([jam, good]), half).tolist() == [[0, 0], [0, 2]]
    assert place((2, 4), 2, np.array([jam, jam]), half).tolist() == [[0, 2], [0, 0]]
