"""Charts of panels: where marks stand, what zero and bounds do, labels that cover nothing."""

from __future__ import annotations

import math
import re

import pytest

from geocore.report.panels.plot import Bound, Plot, Point, field_plot, is_drawn, row_plot


def rows(points: list[Point], **options: object) -> Plot:
    plot = row_plot("t", "about", ["a", "b", "c"], points, "x", **options)  # type: ignore[arg-type]
    assert plot is not None
    return plot


def test_rows_lie_below_each_other_and_decades_are_equally_wide() -> None:
    plot = rows([Point(0, 10.0 ** (n - 3), "", row=n) for n in range(3)], log=True)
    x, y = [mark.x for mark in plot.marks], [mark.y for mark in plot.marks]
    assert x[1] - x[0] == pytest.approx(x[2] - x[1], abs=0.2) and x[1] > x[0]
    assert y == [at for at, _, _ in plot.rows] == sorted(y)


def test_zero_stands_below_the_lowest_decade_and_is_labelled() -> None:
    plot = rows([Point(0, 0.0, ""), Point(0, 1e-6, "", row=1), Point(0, 1.0, "", row=2)], log=True)
    assert plot.x[0].label == "0" and plot.x[0].at == plot.marks[0].x < plot.marks[1].x
    assert "0" not in [tick.label for tick in plot.x[1:]]
    alone = rows([Point(0, 0.0, "")], log=True)
    assert alone.marks[0].x == alone.x[0].at and alone.x[0].label == "0"


def test_only_what_is_finite_is_drawn() -> None:
    odd = [Point(0, value, "") for value in (math.nan, math.inf, 1e200)]
    assert len(rows([*odd, Point(0, 1.0, "")]).marks) == 1
    assert row_plot("t", "", ["a"], odd, "x") is None
    assert field_plot("t", "", odd, "x", "y") is None
    assert not is_drawn(None)


def test_bounds_and_whiskers_are_lines_of_their_runs() -> None:
    points = [Point(4, 0.5, "mean", low=0.25, high=0.75)]
    plot = rows(points, bounds=[Bound(0.9, "gate"), Bound(math.nan, "none")])
    bound, whisker = plot.strokes
    assert (bound.kind, bound.run, bound.told) == ("bound", None, "gate")
    assert (whisker.kind, whisker.run) == ("whisker", 4)
    left, right = map(float, re.findall(r"[MH]([\d.]+)", whisker.path))
    assert left < plot.marks[0].x < right
    assert plot.marks[0].x - left == pytest.approx(right - plot.marks[0].x, abs=0.2)


def test_points_of_one_word_are_joined_within_their_run() -> None:
    points = [Point(run, run + n / 3, "", row=n, joined="w") for run in (0, 1) for n in range(3)]
    lines = [stroke for stroke in rows(points).strokes if stroke.kind == "line"]
    assert [line.run for line in lines] == [0, 1]
    assert all(line.path.count("L") == 2 for line in lines)


def test_stairs_are_level_then_rise() -> None:
    points = [Point(0, x, "", y=y, joined="w") for x, y in ((1.0, 1.0), (2.0, 3.0))]
    plot = field_plot("t", "", points, "x", "y", stairs=True)
    assert plot is not None
    low, high = plot.marks
    assert plot.strokes[0].path == f"M{low.x} {low.y}H{high.x}V{high.y}"
    assert high.y < low.y


def test_asked_ticks_are_the_axis() -> None:
    plot = field_plot("t", "", [Point(0, 12.0, "", y=1.0)], "x", "y", x_ticks=(-180, 0, 180))
    assert plot is not None
    assert [tick.label for tick in plot.x] == ["-180", "0", "180"]
    assert plot.x[0].at < plot.x[1].at < plot.marks[0].x < plot.x[2].at


def test_labels_cover_neither_marks_nor_each_other() -> None:
    far = [Point(0, x, "", y=x, label="6/6") for x in (0.0, 10.0)]
    plot = field_plot("t", "", far, "x", "y")
    assert plot is not None and [mark.label for mark in plot.marks] == ["6/6", "6/6"]
    crowd = [Point(0, 5 + n / 1e3, "", y=5.0, label=f"{n}/6") for n in range(9)]
    plot = field_plot("t", "", [*far, *crowd], "x", "y")
    assert plot is not None
    assert sum(bool(mark.label) for mark in plot.marks) == 4, "one above the crowd, one below it"


def test_one_label_for_what_is_labelled_alike_on_one_spot_and_none_below_the_frame() -> None:
    points = [Point(run, x, "", y=x, label="6/6") for x in (0.0, 10.0) for run in range(3)]
    plot = field_plot("t", "", points, "x", "y")
    assert plot is not None
    labels = [(mark.run, mark.label_y) for mark in plot.marks if mark.label]
    assert [run for run, _ in labels] == [0, 0]
    assert all(y < plot.frame[3] for _, y in labels)


def test_marks_of_several_runs_on_one_spot_are_all_seen() -> None:
    points = [Point(run, 5.0, "") for run in range(6)] + [Point(0, 5.0, ""), Point(1, 9.0, "")]
    marks = rows(points).marks
    sizes = {(mark.run, mark.x): mark.size for mark in marks}
    spot = marks[0].x
    assert [sizes[run, spot] for run in range(6)] == [4.5, 7.0, 9.5, 12.0, 12.0, 12.0]
    assert [mark.size for mark in marks] == sorted((m.size for m in marks), reverse=True)
    assert 2 * max(sizes.values()) <= 24, "a row's height"
    (alone,) = [mark for mark in marks if mark.x != spot]
    assert alone.size == 4.5


def test_long_names_are_cut_and_kept_whole_beside_it() -> None:
    plot = row_plot("t", "", ["n" * 40], [Point(0, 1.0, "")], "x")
    assert plot is not None
    _, shown, whole = plot.rows[0]
    assert len(shown) == 22 and whole == "n" * 40
