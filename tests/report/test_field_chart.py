"""Fields as colours: what stands where, one scale for all, marks that stay inside."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from geocore.healpix.draw import colours
from geocore.report.canvas import Picture
from geocore.report.field_chart import Label, Panel, field_chart

SIDE, LEFT, TOP = 420, 92, 116  # pixels of the first panel


def at(picture: Picture, x: float, y: float) -> list[int]:
    """The colour at a place of the first panel, from 0 to 1 to the right and upwards."""
    row, column = TOP + (1 - y) * SIDE, LEFT + x * SIDE
    return [int(value) for value in picture[round(row), round(column)]]


def test_values_stand_where_they_belong() -> None:
    values = torch.zeros(5, 5)
    values[4, 0] = 1.0  # far to the right, at the bottom
    values[0, 4] = 0.5
    picture = field_chart([Panel("one", values, 2.0)], "title", "number")
    expected = colours(torch.tensor([0.0, 0.5, 1.0]), (0.0, 1.0)).round().tolist()
    assert at(picture, 0.97, 0.03) == expected[2]
    assert at(picture, 0.03, 0.97) == expected[1]
    for x, y in ((0.03, 0.03), (0.5, 0.5), (0.97, 0.97)):
        assert at(picture, x, y) == expected[0]


def test_panels_share_a_scale() -> None:
    low, high = torch.zeros(5, 5), torch.ones(5, 5)
    picture = field_chart([Panel("a", low, 1.0), Panel("b", high, 1.0)], "title", "number")
    alone = field_chart([Panel("a", low, 1.0)], "title", "number", limits=(0.0, 1.0))
    assert at(picture, 0.5, 0.5) == at(alone, 0.5, 0.5)
    shift = (SIDE + 72) / SIDE  # to the next panel
    assert at(picture, 0.5 + shift, 0.5) != at(picture, 0.5, 0.5)


def test_marks_end_at_the_rim() -> None:
    plain = Panel("one", torch.rand(5, 5, generator=torch.Generator().manual_seed(0)), 1.0)
    outside = torch.tensor([[2.0, 0.0], [math.nan, 0.0]])
    marked = Panel(
        "one", plain.values, 1.0, dots=outside, strokes=torch.stack([outside, outside], dim=1),
        labels=[Label((0.0, -1.5), "7", (255, 255, 255))],
    )  # fmt: skip
    first = field_chart([plain], "title", "number")
    assert np.array_equal(first, field_chart([marked], "title", "number"))
    inside = Panel("one", plain.values, 1.0, dots=torch.tensor([[0.5, 0.0]]))
    second = field_chart([inside], "title", "number")
    assert at(second, 0.75, 0.5) != at(first, 0.75, 0.5)
    assert at(second, 0.25, 0.5) == at(first, 0.25, 0.5)


def test_values_that_are_not_finite() -> None:
    values = torch.zeros(5, 5)
    values[0, 0], values[4, 4], values[2, 2] = -math.inf, math.nan, 1.0
    picture = field_chart([Panel("one", values, 1.0)], "title", "number")
    assert at(picture, 0.03, 0.03) == at(picture, 0.97, 0.97) == at(picture, 0.03, 0.97)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="panels are none; expected at least one"):
        field_chart([], "title", "number")
    with pytest.raises(ValueError, match=r"values have shape \(5, 4\); expected \(size, size\)"):
        field_chart([Panel("one", torch.zeros(5, 4), 1.0)], "title", "number")
    with pytest.raises(ValueError, match="values are all infinite or NaN"):
        field_chart([Panel("one", torch.full((5, 5), math.nan), 1.0)], "title", "number")
