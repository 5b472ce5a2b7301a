"""The canvas: shapes and values land where they are put."""

from __future__ import annotations

import numpy as np
import pytest

from geocore.report.canvas import Axis, Canvas, Frame

BLUE, ORANGE = (0, 114, 178), (213, 94, 0)


def pixels_of(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Places (row, column) of that very colour."""
    return np.argwhere((picture == np.array(colour, dtype=np.uint8)).all(axis=-1))


def test_axes_put_values_in_their_places() -> None:
    assert Axis(2, 4).part(3) == 0.5
    assert Axis(1e-4, 1, log=True).part(1e-3) == pytest.approx(0.25)
    assert Axis(1e-4, 1, log=True).part(0) == 0
    frame = Frame(Canvas(100, 100), 10, 20, 90, 80, Axis(0, 1), Axis(0, 2))
    assert frame.at(0, 0) == (10, 80)
    assert frame.at(1, 2) == (90, 20)


def test_shapes_land_where_they_are_put() -> None:
    canvas = Canvas(50, 40)
    canvas.rectangle((30, 10), (20, 20), BLUE)
    canvas.line([(0, 30), (50, 30)], ORANGE, 2, dash=5)
    picture = canvas.picture()
    assert picture.shape == (80, 100, 3)
    found = pixels_of(picture, BLUE)
    assert found.min(axis=0).tolist() == [20, 40]
    assert found.max(axis=0).tolist() == [39, 59]
    dashes = pixels_of(picture, ORANGE)
    assert 57 <= dashes[:, 0].min() <= dashes[:, 0].max() <= 62
    assert 40 < len(set(dashes[:, 1])) < 60, "half of the line is gaps"


def test_words_turn_about_their_anchor() -> None:
    """Upright words end at the anchor's left, slanted ones end at it from below."""
    level, turned = Canvas(100, 100), Canvas(100, 100)
    level.text((50, 50), "wwwwww", 10, BLUE, anchor="rm")
    turned.text((50, 50), "wwwwww", 10, BLUE, anchor="rm", angle=90)
    across, up = (np.argwhere(canvas.picture().sum(axis=-1) < 700) for canvas in (level, turned))
    assert across[:, 1].max() <= 101
    assert abs(across[:, 0].mean() - 100) < 4
    assert up[:, 0].min() >= 99, "words that run upwards end at the anchor, so lie below it"
    assert abs(up[:, 1].mean() - 100) < 4
    assert np.ptp(up[:, 0]) == pytest.approx(np.ptp(across[:, 1]), abs=3)
    assert np.ptp(up[:, 0]) / 2 == pytest.approx(level.text_width("wwwwww", 10), abs=2)
