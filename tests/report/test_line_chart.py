"""Curves against a size: where points, bars and names stand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from geocore.report.charts import COLOURS
from geocore.report.line_chart import Mark, line_chart

BLUE, ORANGE = COLOURS[:2]
LEGEND = 2 * (40 + 18)  # pixels above the frame where the legend has one row


def pixels_of(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Places (row, column) of that very colour below the legend."""
    found = np.argwhere((picture == np.array(colour, dtype=np.uint8)).all(axis=-1))
    return found[found[:, 0] > LEGEND]


def curve(*points: tuple[float, float]) -> list[Mark]:
    return [Mark(x, y) for x, y in points]


def middles(picture: np.ndarray, colour: tuple[int, int, int]) -> list[float]:
    """The columns of marks of that colour that no line joins, from left to right."""
    columns = np.unique(pixels_of(picture, colour)[:, 1])
    return [
        float(run.mean()) for run in np.split(columns, np.flatnonzero(np.diff(columns) > 4) + 1)
    ]


def test_equal_factors_are_equal_steps_along() -> None:
    alone = {f"{n}": [Mark(float(n), 1.0)] for n in (1, 4, 16, 64)}
    picture = line_chart(alone, "title", "n", "y")
    places = [middles(picture, colour)[0] for colour in COLOURS[:4]]
    assert np.diff(places) == pytest.approx(np.diff(places)[0], abs=1.5)


def test_a_curve_goes_through_its_points_by_growing_x() -> None:
    straight = line_chart({"a": curve((1, 0.0), (10, 0.5), (100, 1.0))}, "t", "n", "y")
    shuffled = line_chart({"a": curve((100, 1.0), (1, 0.0), (10, 0.5))}, "t", "n", "y")
    assert np.array_equal(straight, shuffled)
    found = pixels_of(straight, BLUE)
    left, right = found[found[:, 1].argmin()], found[found[:, 1].argmax()]
    middle = found[np.abs(found[:, 1] - (left[1] + right[1]) / 2) < 2]
    assert middle[:, 0].mean() == pytest.approx((left[0] + right[0]) / 2, abs=3)
    assert right[0] < left[0], "more is higher"


def test_a_single_point_is_a_ring() -> None:
    picture = line_chart({"a": curve((3, 1.8)), "b": curve((1, 0.0), (9, 2.0))}, "t", "n", "y")
    ring = pixels_of(picture, BLUE)
    (top, left), (bottom, right) = ring.min(axis=0), ring.max(axis=0)
    assert 12 <= bottom - top <= 20 and abs((bottom - top) - (right - left)) <= 1
    assert (picture[(top + bottom) // 2, (left + right) // 2] == 255).all()


def test_a_deviation_is_a_bar_of_its_length() -> None:
    heights = []
    for sd in (0.2, 0.4):
        marks = {"a": [Mark(1, 0.5, sd)], "b": curve((1, 0.0), (2, 1.0))}
        bar = pixels_of(line_chart(marks, "t", "n", "y"), BLUE)
        heights.append(np.ptp(bar[:, 0]))
    assert heights[1] == pytest.approx(2 * heights[0], rel=0.03)


def test_many_series_have_room_and_are_told_apart() -> None:
    marks = {f"a rather long name {n}": curve((1, n), (10, n + 1)) for n in range(14)}
    few = line_chart({"a": marks["a rather long name 0"]}, "title", "n", "y")
    many = line_chart(marks, "title", "n", "y")
    assert many.shape[0] > few.shape[0] and many.shape[1] == few.shape[1]
    for picture in (few, many):
        assert (picture[:, [0, 1, -2, -1]] == 255).all(), "something touches the border"


def test_series_beyond_the_colours_are_dashed() -> None:
    """The same points as series 0 and as series 7, which has its colour again."""
    level, elsewhere = curve((1, 1.0), (100, 1.0)), curve((1, 0.0), (100, 0.0))
    inked = []
    for number in (0, 7):
        marks = {f"{n}": level if n == number else elsewhere for n in range(8)}
        picture = line_chart(marks, "t", "n", "y")
        drawn = pixels_of(picture, BLUE)
        row = drawn[:, 0].min()  # the upper edge of whatever lies highest, of one colour
        near = drawn[drawn[:, 0] < row + 40]
        middle = near[np.abs(near[:, 1] - picture.shape[1] / 2) < 150, 1]
        inked.append(len(np.unique(middle)))
    solid, dashed = inked
    assert solid == 299, "a line without gaps"
    assert 0.3 * solid < dashed < 0.7 * solid, "gaps as long as dashes"


@pytest.mark.parametrize(
    ("mark", "told"),
    [
        (Mark(0.0, 1.0), "x above 0"),
        (Mark(1.0, math.nan), "expected finite numbers"),
        (Mark(1.0, 1.0, math.inf), "expected finite numbers"),
    ],
)
def test_what_cannot_be_drawn(mark: Mark, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        line_chart({"a": [mark]}, "t", "n", "y")
    with pytest.raises(ValueError, match="has no mark"):
        line_chart({}, "t", "n", "y")
