"""House numbers of handwritten digits: which is where, and in which split."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from geocore.data.sources.base import Images, Rows, Source, gathered
from geocore.data.sources.digits import Digits
from geocore.data.sources.street_digits import StreetDigits
from geocore.data.split import make_split

DIGITS = Digits()
PARTS = make_split(
    DIGITS.labels, None, val_fraction=0.15, test_fraction=0.2, seed=0, classes=DIGITS.classes
)


def street(*counts: int, seed: int = 0) -> StreetDigits:
    return StreetDigits(DIGITS, PARTS, counts or (200, 60, 40), seed)


def read(source: Source, rows: Rows, size: int = 50) -> Images:
    return np.concatenate(list(source.images(rows, size)))


def test_no_digit_is_in_two_splits_not_even_as_a_neighbour() -> None:
    source = street(4000, 1000, 1000)
    assert source.official == {"train": 4000, "val": 1000, "test": 1000}
    assert source.splits is not None
    for code in range(3):
        assert (PARTS[source.chosen[source.splits == code]] == code).all()
    # Many of each are used: 4000 draws miss one of 1222 digits with probability 0.038.
    assert len(np.unique(source.chosen[:4000, 0])) > 0.9 * (PARTS == 0).sum()


def test_the_label_is_the_middle_digits() -> None:
    source = street(3000, 10, 10)
    np.testing.assert_array_equal(source.labels, DIGITS.labels[source.chosen[:, 0]])
    # About as frequent as among the items: 300 of 3000, five standard deviations of 16.4.
    assert np.abs(np.bincount(source.labels[:3000], minlength=10) - 300).max() < 82
    # The middle digit and its neighbours are drawn apart from each other.
    same = (source.chosen[:, 0] == source.chosen[:, 1]).mean()
    assert same < 0.01


def test_an_image_does_not_depend_on_the_others() -> None:
    source = street()
    rows = np.arange(len(source))
    whole = read(source, rows, 300)
    assert whole.shape == (300, 32, 32, 3) and whole.dtype == np.uint8
    some = np.array([0, 5, 63, 64, 199, 200, 299])
    np.testing.assert_array_equal(read(source, some, 3), whole[some])
    np.testing.assert_array_equal(read(street(), rows, 7), whole)


def test_a_larger_split_begins_as_the_smaller() -> None:
    small, large = street(20, 10, 10), street(70, 30, 10)
    first = np.r_[0:20, 20:30, 30:40]
    same = np.r_[0:20, 70:80, 100:110]
    np.testing.assert_array_equal(small.labels[first], large.labels[same])
    np.testing.assert_array_equal(read(small, first), read(large, same))


def test_seeds_splits_and_places_have_images_of_their_own() -> None:
    images = read(street(), np.arange(300))
    assert len(np.unique(images.reshape(300, -1), axis=0)) == 300
    other = read(street(seed=1), np.arange(300))
    assert not (images == other).all(axis=(1, 2, 3)).any()
    assert (street().labels != street(seed=1).labels).mean() > 0.8


def test_the_digest_tells_sources_apart() -> None:
    moved = PARTS.copy()
    moved[0] = (moved[0] + 1) % 3
    digests = [
        street().digest,
        street(201, 60, 40).digest,
        street(seed=1).digest,
        StreetDigits(DIGITS, moved, (200, 60, 40), 0).digest,
    ]
    assert len(set(digests)) == 4 and street().digest == digests[0]


class Blots(Source):
    """Squares of ``side`` pixels of two kinds: dark all over, and bright all over but an edge."""

    name, classes, digest = "blots", ("nothing", "blot"), ""
    splits = None

    def __init__(self, side: int, channels: int = 1) -> None:
        self.shape = (side, side, channels)
        self.labels = np.tile([0, 1], 9).astype(np.int64)

    def images(self, rows: Rows, size: int) -> Iterator[Images]:
        found = np.zeros((len(rows), *self.shape), np.uint8)
        found[self.labels[rows] == 1, 1:-1, 1:-1] = 255
        return gathered([found], size)


@pytest.mark.parametrize("side", [8, 28])
def test_the_middle_shows_the_digit_and_not_a_neighbour(side: int) -> None:
    """Ink in the middle of the image for a blot, and none for nothing, whatever stands beside."""
    items = Blots(side)
    parts = np.repeat(np.array([0, 1, 2], np.uint8), 6)
    source = StreetDigits(items, parts, (600, 1, 1), 0)
    images = read(source, np.arange(600)).astype(float)
    # The middle against the upper and lower edge, where no digit reaches: in some colour.
    middle = images[:, 14:18, 14:18].mean(axis=(1, 2))
    edges = images[:, [0, 1, 30, 31]][:, :, 13:19].mean(axis=(1, 2))
    apart = np.abs(middle - edges).max(axis=1)
    blot = source.labels[:600] == 1
    assert np.median(apart[blot]) > 60 > 35 > np.median(apart[~blot])


def test_what_cannot_be_a_digit_is_refused() -> None:
    parts = np.repeat(np.array([0, 1, 2], np.uint8), 6)
    with pytest.raises(ValueError, match=r"items have shape \(8, 8, 3\); expected squares of one"):
        StreetDigits(Blots(8, 3), parts, (1, 1, 1), 0)
    with pytest.raises(ValueError, match=r"parts has shape \(17,\); expected \(18,\)"):
        StreetDigits(Blots(8), parts[1:], (1, 1, 1), 0)
