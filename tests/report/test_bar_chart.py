"""Bars: as long as their numbers, in the colours of their groups."""

from __future__ import annotations

import numpy as np
import pytest

from geocore.report.bar_chart import bar_chart
from geocore.report.charts import COLOURS


def lengths(picture: np.ndarray, colour: tuple[int, int, int]) -> list[int]:
    """Pixels of that colour in each run of rows that has some, the legend's first."""
    count = (picture == np.array(colour)).all(axis=2).sum(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], count > 0, [0]])))
    return [int(np.median(count[a:b])) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def test_bars_are_as_long_as_their_numbers() -> None:
    groups: dict[str, list[float | None]] = {"one": [0.5, 0.25, 1.0], "other": [1.0, None, 0.1]}
    picture = bar_chart(["a", "b", "c"], groups, "Title", "IoU", most=1.0)
    _, *one = lengths(picture, COLOURS[0])
    _, *other = lengths(picture, COLOURS[1])
    # 360 points, two pixels each; a pixel at the ends is mixed.
    assert one == pytest.approx([360, 180, 720], abs=3)
    assert other == pytest.approx([720, 72], abs=3), "no bar for None"


@pytest.mark.parametrize("largest", [0.003, 0.07, 0.9999, 1.0, 7.3, 42.0, 1234.5])
def test_the_axis_ends_at_a_round_number(largest: float) -> None:
    picture = bar_chart(["a"], {"one": [largest]}, "Title", "metres")
    _, bar = lengths(picture, COLOURS[0])
    assert 360 <= bar <= 722, "more than half of the axis, and no more than all"


def test_equal_bars_equal_bytes() -> None:
    first, again = (bar_chart(["a"], {"one": [0.5]}, "T", "x") for _ in range(2))
    assert np.array_equal(first, again)
    assert bar_chart(["a"], {"one": [None]}, "T", "x").shape == first.shape
