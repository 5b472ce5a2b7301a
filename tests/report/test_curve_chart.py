"""Learning curves: which columns, which lines, where they stand."""

from __future__ import annotations

import math
import re

from geocore.report.curve_chart import FRAME, curve_charts

TRAIN = {
    "epoch": [0.0, 1.0, 2.0],
    "lr": [0.1, 0.1, 0.1],
    "val_nll": [2.0, 0.5, 1.0],
    "val_accuracy": [0.1, 0.9, 0.8],
}


def test_a_chart_for_each_column_that_has_a_better_end() -> None:
    charts = curve_charts([("a", {"train/curve.csv": TRAIN}), ("b", {})])
    assert [(chart.column, chart.way, chart.along) for chart in charts] == [
        ("val_nll", "lower", "epoch"),
        ("val_accuracy", "higher", "epoch"),
    ]
    nll = charts[0].entries[0]
    assert (nll.name, nll.lines, nll.best, nll.at, nll.last) == ("a", 1, "0.5", "epoch 1", "1")
    accuracy = charts[1].entries[0]
    assert (accuracy.best, accuracy.at, accuracy.last) == ("0.9", "epoch 1", "0.8")


def test_the_path_goes_through_the_frame() -> None:
    (chart, _) = curve_charts([("a", {"c.csv": TRAIN})])
    (line,) = chart.lines
    points = [tuple(map(float, xy)) for xy in re.findall(r"[ML]([\d.]+) ([\d.]+)", line.path)]
    left, top, right, bottom = FRAME
    assert [x for x, _ in points] == [left, (left + right) / 2, right]
    assert all(top <= y <= bottom for _, y in points)
    assert points[1][1] > points[2][1] > points[0][1], "the least value stands lowest"
    assert line.best is not None
    assert (line.best.x, line.best.y) == points[1]
    assert line.best.told == "a, epoch 1: val_nll 0.5"


def test_what_is_not_finite_is_a_gap() -> None:
    broken = {"epoch": [0.0, 1.0, 2.0, 3.0], "val_nll": [1.0, math.nan, math.inf, 2.0]}
    (chart,) = curve_charts([("a", {"c.csv": broken})])
    (line,) = chart.lines
    assert line.path.count("M") == 2
    assert "nan" not in line.path
    nothing = {"epoch": [0.0], "val_nll": [math.nan]}
    assert curve_charts([("a", {"c.csv": nothing})]) == []


def test_lines_of_several_snapshots_share_the_axes() -> None:
    other = {**TRAIN, "val_nll": [200.0, 100.0, 50.0]}
    chart = curve_charts([("a", {"c.csv": TRAIN}), ("b", {"c.csv": other})])[0]
    assert chart.log
    assert [(line.series, line.told) for line in chart.lines] == [(0, "a"), (1, "b")]
    assert [entry.best for entry in chart.entries] == ["0.5", "50"]


def test_members_are_lines_of_one_snapshot() -> None:
    members = {
        "member": [0.0, 0.0, 1.0, 1.0],
        "epoch": [0.0, 1.0, 0.0, 1.0],
        "val_nll": [2.0, 1.0, 3.0, 0.5],
    }
    (chart,) = curve_charts([("a", {"curves.csv": members})])
    assert [line.told for line in chart.lines] == ["a, member 0", "a, member 1"]
    assert [line.best is not None for line in chart.lines] == [False, True]
    (entry,) = chart.entries
    assert (entry.lines, entry.best, entry.at, entry.last) == (
        2,
        "0.5",
        "epoch 1 of member 1",
        "0.5 to 1",
    )


def test_many_points_are_thinned_and_tell_nothing_each() -> None:
    values = [2.0] * 100_000
    values[77_777] = 1.0
    long = {"epoch": [float(n) for n in range(100_000)], "val_nll": values}
    (chart,) = curve_charts([("a", {"c.csv": long})])
    (line,) = chart.lines
    assert line.dots == ()
    assert 500 < line.path.count("L") < 610
    assert line.path.endswith(f"L{FRAME[2]} {chart.lines[0].path.split()[-1]}")
    assert line.best is not None
    assert f"L{line.best.x} {line.best.y}" in line.path
    assert chart.entries[0].at == "epoch 77777"
