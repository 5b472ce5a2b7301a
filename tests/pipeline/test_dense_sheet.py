"""Sheets of pictures: where the cells lie, that the legend fits."""

from __future__ import annotations

import numpy as np

from geocore.pipeline.dense_sheet import bar, sheet

RED, BLUE = np.zeros((2, 100, 150, 3), np.uint8)
RED[..., 0], BLUE[..., 2] = 255, 255


def places(picture: np.ndarray, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Top, left, height and width of the box around a colour."""
    rows, columns = np.nonzero((picture == colour).all(axis=2))
    top, left = int(rows.min()), int(columns.min())
    return top, left, int(rows.max()) - top + 1, int(columns.max()) - left + 1


def test_cells_lie_side_by_side_under_their_heads() -> None:
    found = sheet(("one", "two"), [("", (RED, BLUE))], {})
    top, left, height, width = places(found, (255, 0, 0))
    assert (height, width) == (100, 150)
    assert places(found, (0, 0, 255)) == (top, left + 160, 100, 150)
    worded = sheet(("one", "two"), [("a sample", (RED, BLUE))], {})
    assert places(worded, (255, 0, 0))[0] > top, "words stand above the row"
    assert worded.shape[1] == found.shape[1]


def test_a_legend_takes_as_many_lines_as_it_needs() -> None:
    rows = [("", (RED, BLUE))]
    heights = [
        sheet(("", ""), rows, {f"class {n}": (0, 200, 0) for n in range(count)}).shape[0]
        for count in (1, 3, 12)
    ]
    assert heights[0] == heights[1] < heights[2]
    shown = sheet(("", ""), rows, {f"class {n}": (0, 200, 0) for n in range(12)})
    _, left, _, width = places(shown, (0, 200, 0))
    assert left >= 0
    assert left + width <= shown.shape[1]


def test_a_scale_runs_from_the_first_colour_to_the_last() -> None:
    scale = bar((0, 0, 0), (100, 0, 0), (100, 200, 0))
    assert scale[0, 0].tolist() == [0, 0, 0]
    assert scale[0, -1].tolist() == [100, 200, 0]
    assert (np.diff(scale[0].astype(int).sum(axis=1)) >= 0).all()
    found = sheet(("", ""), [("", (RED, BLUE))], {"metres": scale})
    assert (found == (100, 200, 0)).all(axis=2).any()
