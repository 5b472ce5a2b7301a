"""Splits are disjoint, complete, stratified, never empty, and decided by labels and seed alone."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocore.data.split import Codes, Labels, kept_rows, make_split
from geocore.errors import UserError

FRACTIONS = st.floats(0.001, 0.499)


def split(
    labels: Labels,
    official: Codes | None = None,
    val: float = 0.15,
    test: float = 0.2,
    seed: int = 0,
) -> npt.NDArray[np.uint8]:
    classes = [f"c{label}" for label in range(int(labels.max()) + 1)]
    return make_split(
        labels, official, val_fraction=val, test_fraction=test, seed=seed, classes=classes
    )


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(3, 60), min_size=1, max_size=5), FRACTIONS, FRACTIONS, st.integers(0, 9)
)
def test_every_class_is_in_every_split_for_every_n(
    counts: list[int], val: float, test: float, seed: int
) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    codes = split(labels, None, val, test, seed)
    assert codes.shape == labels.shape
    assert codes.dtype == np.uint8
    for label, n in enumerate(counts):
        train, held, tested = np.bincount(codes[labels == label], minlength=3).tolist()
        assert train + held + tested == n  # one code a sample: disjoint and complete
        assert tested == max(1, round(n * test))
        assert held == max(1, round((n - tested) * val))
        assert train >= 1


@settings(max_examples=200, deadline=None)
@given(st.integers(3, 2000), FRACTIONS, FRACTIONS, st.integers(0, 9))
def test_images_without_a_class_are_parted_for_every_n(
    n: int, val: float, test: float, seed: int
) -> None:
    """One code an image, so no two splits share one; each split has some."""
    labels = np.zeros(n, np.int64)
    codes = make_split(labels, None, val_fraction=val, test_fraction=test, seed=seed, classes=())
    assert codes.shape == (n,) and set(codes.tolist()) == {0, 1, 2}
    assert int((codes == 2).sum()) == max(1, round(n * test))


def test_too_few_images_without_a_class() -> None:
    with pytest.raises(UserError) as caught:
        make_split(
            np.zeros(2, np.int64), None, val_fraction=0.2, test_fraction=0.2, seed=0, classes=()
        )
    assert str(caught.value) == (
        "the source has 2 samples; expected at least 3, one each for train, val, test"
    )


def test_the_sizes_of_the_digits() -> None:
    labels = np.repeat(np.arange(10), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    codes = split(labels)
    assert np.bincount(codes).tolist() == [1222, 216, 359]
    per_class = [
        np.bincount(codes[labels == label]) / (labels == label).sum() for label in range(10)
    ]
    assert np.allclose(per_class, [0.68, 0.12, 0.2], atol=0.005)  # to a sample in 174


def test_an_official_test_split_is_kept() -> None:
    labels = np.tile(np.arange(4), 50)
    official = np.where(np.arange(200) < 120, 0, 2).astype(np.uint8)
    codes = split(labels, official)
    assert np.array_equal(codes == 2, official == 2)
    assert np.bincount(codes[:120]).tolist() == [104, 16]  # round(30 * .15) = 4 a class
    assert np.array_equal(official, np.where(np.arange(200) < 120, 0, 2)), "it is not written to"


def test_official_splits_that_are_all_there_stay_as_they_are() -> None:
    official = np.tile(np.array([0, 0, 1, 2], np.uint8), 10)
    assert np.array_equal(split(np.zeros(40, np.int64), official), official)


def test_a_test_split_is_made_beside_an_official_validation_split() -> None:
    labels = np.tile(np.arange(2), 30)
    official = np.repeat(np.array([0, 1], np.uint8), 30)
    codes = split(labels, official)
    assert np.array_equal(codes == 1, official == 1)
    assert np.bincount(codes).tolist() == [24, 30, 6]


def test_seeds_differ_and_equal_seeds_do_not() -> None:
    labels = np.tile(np.arange(10), 30)
    assert np.array_equal(split(labels, seed=3), split(labels, seed=3))
    assert not np.array_equal(split(labels, seed=3), split(labels, seed=4))


def test_a_class_does_not_move_another() -> None:
    labels = np.tile(np.arange(3), 20)
    alone = labels[labels != 1]
    assert np.array_equal(split(alone), split(labels)[labels != 1])


def test_the_split_of_a_seed_never_changes() -> None:
    """Whoever trained on a split must find it again: these are the words of Philox."""
    codes = split(np.zeros(12, np.int64), None, 0.25, 0.25, 7)
    assert codes.tolist() == [0, 0, 0, 0, 0, 0, 1, 2, 0, 2, 2, 1]


@pytest.mark.parametrize(
    ("counts", "line"),
    [
        ([5, 2], "class 'c1' has 2 samples; expected at least 3, one each for train, val, test"),
        (
            [1, 5, 2],
            "class 'c0' has 1 samples, and so have 1 other classes; "
            "expected at least 3, one each for train, val, test",
        ),
    ],
)
def test_too_few_of_a_class(counts: list[int], line: str) -> None:
    with pytest.raises(UserError) as caught:
        split(np.repeat(np.arange(len(counts)), counts))
    assert caught.value.lines == (line,)


def test_too_few_training_samples_of_a_class() -> None:
    official = np.array([0, 0, 0, 0, 2, 2, 2], np.uint8)
    with pytest.raises(UserError) as caught:
        split(np.array([0, 0, 0, 1, 0, 1, 1]), official)
    expected = "class 'c1' has 1 training samples; expected at least 2, one each for train, val"
    assert str(caught.value) == expected
    with pytest.raises(UserError, match="class 'c1' has 0 training samples"):
        split(np.array([0, 0, 0, 0, 0, 1, 1]), official)


def test_a_class_that_never_occurs_is_no_fault() -> None:
    codes = make_split(
        np.zeros(10, np.int64),
        None,
        val_fraction=0.1,
        test_fraction=0.1,
        seed=0,
        classes=["a", "b"],
    )
    assert np.bincount(codes).tolist() == [8, 1, 1]


@pytest.mark.parametrize("fraction", [0.0, 0.5, -0.1, math.nan])
def test_fractions_out_of_range(fraction: float) -> None:
    with pytest.raises(ValueError, match=r"val_fraction is .*; expected above 0 and below 0\.5"):
        split(np.zeros(9, np.int64), val=fraction)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=6).filter(any),
    st.integers(3, 260),
    st.integers(0, 5),
)
def test_a_limit_levels_the_classes(counts: list[int], limit: int, seed: int) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    rows = kept_rows(labels, None, limit, seed)
    assert len(rows) == min(limit, len(labels))
    assert (np.diff(rows) > 0).all()
    kept = np.bincount(labels[rows], minlength=len(counts))
    cut = kept < counts  # classes that lost samples are as large as any, to one
    if cut.any():
        assert kept.max() - kept[cut].min() <= 1


def test_a_limit_keeps_the_shares_of_official_splits() -> None:
    labels = np.tile(np.arange(10), 7000)
    official = np.where(np.arange(70000) < 60000, 0, 2).astype(np.uint8)
    rows = kept_rows(labels, official, 700, 0)
    assert np.bincount(official[rows]).tolist() == [600, 0, 100]
    for code, each in ((0, 60), (2, 10)):
        assert np.bincount(labels[rows[official[rows] == code]]).tolist() == [each] * 10


def test_a_small_official_split_keeps_a_sample() -> None:
    official = np.zeros(1000, np.uint8)
    official[[5, 600]] = 1, 2
    rows = kept_rows(np.zeros(1000, np.int64), official, 10, 0)
    assert len(rows) == 10
    assert {5, 600} <= set(rows.tolist())


def test_a_limit_is_seeded_and_none_keeps_all() -> None:
    labels = np.tile(np.arange(5), 100)
    first = kept_rows(labels, None, 50, 1)
    assert np.array_equal(first, kept_rows(labels, None, 50, 1))
    assert not np.array_equal(first, kept_rows(labels, None, 50, 2))
    for limit in (None, 500, 10_000):
        assert np.array_equal(kept_rows(labels, None, limit, 1), np.arange(500))


def test_what_is_kept_does_not_tell_what_is_held_out() -> None:
    labels = np.zeros(400, np.int64)
    held_out = np.flatnonzero(split(labels) == 2)
    kept = kept_rows(labels, None, len(held_out), 0)
    assert len(np.intersect1d(kept, held_out)) < len(held_out) / 2  # chance: a fifth
