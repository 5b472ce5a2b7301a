"""Charts: what is drawn where, and equal bytes for equal numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from geocore.measure.calibration import reliability
from geocore.report.charts import Curve, confusion_chart, layer_chart, reliability_chart

BLUE, ORANGE = (0, 114, 178), (213, 94, 0)


def pixels_of(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Places (row, column) of that very colour."""
    return np.argwhere((picture == np.array(colour, dtype=np.uint8)).all(axis=-1))


def test_a_confusion_matrix_is_darkest_where_the_samples_are() -> None:
    matrix = torch.tensor([[9, 1], [0, 10]])
    picture = confusion_chart(matrix, ["a", "b"], "title").astype(int)
    # Cells from what is known of the darkest colour: the full one, at the lower right.
    dark = pixels_of(picture, (8, 48, 107))
    assert len(dark) > 500
    (top, left), (bottom, right) = dark.min(axis=0), dark.max(axis=0)
    corner = (4, 4)  # off the digits in the middle of a cell
    cell = picture[top + corner[0], left + corner[1]].sum()
    side = bottom - top + 4  # with the gap
    above = picture[top - side + corner[0], left + corner[1]].sum()
    beside = picture[top + corner[0], left - side + corner[1]].sum()
    diagonal = picture[top - side + corner[0], left - side + corner[1]].sum()
    assert right - left == bottom - top
    assert cell < diagonal < above < beside


def test_long_names_and_many_classes_have_room() -> None:
    names = [f"a class of the name {n}" for n in range(40)]
    few = confusion_chart(torch.eye(2).long(), names[:2], "a title that is longer than the table")
    many = confusion_chart(torch.eye(40).long(), names, "title")
    for picture in (few, many):
        assert (picture[:, [0, 1, -2, -1]] == 255).all(), "something touches the border"
        assert (picture[[0, 1, -2, -1]] == 255).all()


def test_a_reliability_bar_is_as_high_as_its_accuracy() -> None:
    confidences = torch.full((10,), 0.75)
    heights = []
    for right in (2, 4, 8):
        table = reliability(confidences, torch.arange(10) < right, 2)
        bar = pixels_of(reliability_chart(table, "title"), (158, 202, 230))
        heights.append(int(np.ptp(bar[:, 0])))
    assert heights[1] == pytest.approx(2 * heights[0], rel=0.05)
    assert heights[2] == pytest.approx(4 * heights[0], rel=0.05)


def test_layers_are_drawn_by_decades_with_zero_at_the_bottom() -> None:
    layers = ["input", "one", "two", "logits"]
    curve = Curve("exact", [0.0, 0.0, 0.0, 1e-7])
    other = Curve("sampled", [None, 1e-1, 1e-1, 1e-1], 1)
    picture = layer_chart(layers, [curve, other], "title", "error")
    exact, sampled = (pixels_of(picture, colour) for colour in (BLUE, ORANGE))
    exact, sampled = exact[exact[:, 0] > 120], sampled[sampled[:, 0] > 120]  # below the legend
    assert sampled[:, 0].max() < exact[:, 0].min()
    zeros = exact[exact[:, 0] == exact[:, 0].max()]
    assert np.ptp(zeros[:, 1]) > 200, "the three zeros lie side by side at the bottom"
    assert exact[:, 1].min() < sampled[:, 1].min() - 100, "the input has one value"


def test_nothing_to_draw_is_no_error() -> None:
    assert layer_chart(["input", "logits"], [], "title", "error").ndim == 3
    assert layer_chart(["input", "logits"], [Curve("a", [None, 0.0])], "t", "e").ndim == 3


def test_equal_numbers_give_equal_bytes() -> None:
    curve = Curve("a", [0.1, 0.2, 3.0])
    one, other = (layer_chart(["x", "y", "z"], [curve], "t", "e") for _ in range(2))
    assert np.array_equal(one, other)
