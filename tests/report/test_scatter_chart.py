"""Points of two numbers: where they stand, how kinds are told apart, what joins the best."""

from __future__ import annotations

import math

import numpy as np
import pytest

from geocore.report.charts import COLOURS
from geocore.report.scatter_chart import Spot, scatter_chart

BLUE, ORANGE = COLOURS[:2]
KINDS = ["estimate", "post-synthesis", "routed", "vendor"]
LEGEND = 2 * (40 + 18)  # pixels above the frame where the legend has one row


def pixels_of(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Places (row, column) of that very colour below the legend."""
    found = np.argwhere((picture == np.array(colour, dtype=np.uint8)).all(axis=-1))
    return found[found[:, 0] > LEGEND]


def chart(series: dict[str, list[Spot]]) -> np.ndarray:
    return scatter_chart(series, KINDS, "title", "LUT", "accuracy")


CORNERS = [Spot(0, 0, "vendor"), Spot(10, 1, "vendor")]  # of another series: they hold the axes


def test_spots_stand_where_their_numbers_say() -> None:
    middles = []
    for x, y in ((2.0, 0.2), (5.0, 0.5), (8.0, 0.8)):
        spot = pixels_of(chart({"a": [Spot(x, y, "routed")], "b": CORNERS}), BLUE)
        middles.append(spot.mean(axis=0))
    down, right = np.diff(middles, axis=0)[0]
    assert np.diff(middles, axis=0)[1] == pytest.approx([down, right], abs=1.5)
    assert down < 0 < right


def test_every_kind_has_a_mark_of_its_own() -> None:
    shapes = []
    for kind in KINDS:
        spot = pixels_of(chart({"a": [Spot(5, 0.5, kind)], "b": CORNERS}), BLUE)
        spot = spot - spot.min(axis=0)
        shapes.append(frozenset(map(tuple, spot.tolist())))
        assert 10 <= np.ptp(spot[:, 0]) <= 20
    assert len(set(shapes)) == 4
    ring, dot, square, cross = map(len, shapes)
    assert dot > 1.2 * ring and square > dot and cross < square / 1.5


def test_the_best_are_joined_by_steps_within_their_kind_alone() -> None:
    stairs = [Spot(0, 0.2, "routed", best=True), Spot(10, 0.8, "routed", best=True)]
    joined = pixels_of(chart({"a": stairs, "b": CORNERS}), BLUE)
    low, high = joined[:, 0].max() - 7, joined[:, 0].min() + 7  # of the two squares' middles
    level = joined[np.abs(joined[:, 0] - low) <= 1]
    assert np.ptp(level[:, 1]) > 500, "level to the dearer one's column, then up"
    rising = joined[(joined[:, 0] < low - 20) & (joined[:, 0] > high + 20)]
    assert len(rising) > 50 and np.ptp(rising[:, 1]) <= 4
    for other in (
        [Spot(0, 0.2, "routed", best=True), Spot(10, 0.8, "vendor", best=True)],
        [Spot(0, 0.2, "routed", best=True), Spot(10, 0.8, "routed")],
    ):
        assert len(pixels_of(chart({"a": other, "b": CORNERS}), BLUE)) < len(joined) / 2


def test_an_error_is_a_bar_of_its_length() -> None:
    widths = []
    for error in (1.0, 2.0):
        spot = Spot(5, 0.5, "post-synthesis", x_error=error)
        bar = pixels_of(chart({"a": [spot], "b": CORNERS}), BLUE)
        widths.append(np.ptp(bar[:, 1]))
    assert widths[1] == pytest.approx(2 * widths[0], rel=0.03)


def test_numbers_of_many_sizes_stand_by_decades() -> None:
    spots = {"a": [Spot(10.0**n, 0.5 + n / 100, "routed") for n in range(1, 6)]}
    columns = np.unique(pixels_of(chart(spots), BLUE)[:, 1])
    runs = np.split(columns, np.flatnonzero(np.diff(columns) > 4) + 1)
    gaps = np.diff([run.mean() for run in runs])
    assert len(gaps) == 4 and gaps == pytest.approx(gaps[0], abs=1.5)


def test_equal_numbers_give_equal_pictures_whose_border_is_white() -> None:
    many = {f"a rather long name {n}": [Spot(n, n / 9, KINDS[n % 4])] for n in range(9)}
    picture = chart(many)
    assert np.array_equal(picture, chart(many))
    assert (picture[:, [0, 1, -2, -1]] == 255).all()
    assert picture.shape[0] > chart({"a": [Spot(1, 1, "routed")]}).shape[0]


@pytest.mark.parametrize(
    ("spots", "kinds", "told"),
    [
        ([], KINDS, "series has no spot"),
        ([Spot(1, 1, "guess")], KINDS, "series has a 'guess'; expected one of estimate"),
        ([Spot(math.inf, 1, "routed")], KINDS, "expected finite numbers"),
        ([Spot(1, 1, "a")], list("abcde"), "expected at most 4, each once"),
        ([Spot(1, 1, "a")], ["a", "a"], "expected at most 4, each once"),
    ],
)
def test_what_cannot_be_drawn(spots: list[Spot], kinds: list[str], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        scatter_chart({"a": spots}, kinds, "t", "x", "y")
