"""Seeds of members: distinct, and those of a smaller ensemble first."""

from __future__ import annotations

import numpy as np
import pytest

from geocore.ensembles.seeds import in_chunks, member_seeds


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1])
def test_a_larger_ensemble_begins_with_the_smaller(seed: int) -> None:
    many = member_seeds(seed, 1000)
    assert len(set(many)) == 1000
    assert all(type(own) is int and 0 <= own < 2**31 for own in many)
    for members in (1, 2, 3, 8, 999):
        assert member_seeds(seed, members) == many[:members]


def test_a_repetition_in_the_stream_is_passed_over() -> None:
    # Of 2^17 draws from 2^31 numbers, about four come twice.
    stream = (np.random.SeedSequence([3, 0]).generate_state(2**17) >> 1).tolist()
    assert len(set(stream)) < len(stream)
    expected = tuple(dict.fromkeys(stream))
    assert member_seeds(0, len(expected)) == expected
    # To have as many as the stream is long, the stream must be longer.
    more = member_seeds(0, len(stream))
    assert len(set(more)) == len(stream) and more[: len(expected)] == expected


def test_other_seeds_give_other_members() -> None:
    assert not set(member_seeds(0, 100)) & set(member_seeds(1, 100))


@pytest.mark.parametrize(
    ("seed", "members", "line"),
    [
        (0, 0, "members is 0; expected 1 to 1048576"),
        (-1, 1, "seed is -1; expected 0 to 2^31 - 1"),
        (2**31, 1, "seed is 2147483648; expected 0 to 2^31 - 1"),
    ],
)
def test_what_is_no_ensemble_is_refused(seed: int, members: int, line: str) -> None:
    with pytest.raises(ValueError) as error:
        member_seeds(seed, members)
    assert str(error.value) == line


def test_chunks_hold_all_in_order() -> None:
    assert in_chunks([5, 3, 9], 1) == [(5,), (3,), (9,)]
    assert in_chunks([5, 3, 9], 2) == [(5, 3), (9,)]
    assert in_chunks([5, 3, 9], 3) == [(5, 3, 9)]


@pytest.mark.parametrize("size", [0, 4])
def test_a_chunk_that_does_not_fit_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"^size is {size}; expected 1 to the 3 seeds$"):
        in_chunks([5, 3, 9], size)
