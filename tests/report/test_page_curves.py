"""Learning curves of many runs: within what a page may weigh, alike for all, true where told."""

from __future__ import annotations

import math
import time
from itertools import pairwise
from typing import Any

import pytest

from geocore.report import page as page_module
from geocore.report.comparison import compare
from geocore.report.curve_chart import curve_charts
from geocore.report.page import comparison_page
from geocore.report.panels import curves as module
from geocore.report.panels.curves import lighter
from geocore.report.programs import Script
from geocore.report.snapshot import Snapshot
from tests.report.reader import Page

COLUMNS = ("train_nll", "val_nll", "val_accuracy", "val_ece")


def ensemble(members: int, epochs: int, seed: int = 0, gap: int = 1) -> dict[str, list[float]]:
    """Curves of members; all but each ``gap``-th epoch's validation is not known."""
    rows = [(float(member), float(epoch)) for member in range(members) for epoch in range(epochs)]

    def value(place: int, member: float, epoch: float) -> float:
        told = place == 0 or epoch % gap == 0
        wave = math.sin(7 * epoch + place + member + seed)
        return math.exp(-epoch / 100) + 0.05 * wave if told else math.nan

    values = {name: [value(place, *row) for row in rows] for place, name in enumerate(COLUMNS)}
    return {"member": [m for m, _ in rows], "epoch": [e for _, e in rows], **values}


def points(curves: Any) -> list[int]:
    """Of each line that is drawn, how many."""
    charts = curve_charts([(str(place), found) for place, found in enumerate(curves)])
    return [len(line.points) for chart in charts for line in chart.lines]


def test_what_has_room_stays_as_it_is() -> None:
    curves = [{"train/curve.csv": ensemble(2, 30, seed)} for seed in range(3)]
    found = lighter(curves, 3 * 4 * 2 * 30)
    assert found.curves == tuple(curves) and found.told == ""
    assert lighter(curves, 3 * 4 * 2 * 30 - 1).told
    assert lighter([{}, {"x.csv": {"epoch": [1.0]}}], 0).told == "", "nothing of it is drawn"


def test_one_bound_holds_for_all_and_short_lines_stay_whole() -> None:
    short, long = {"a.csv": ensemble(1, 25)}, {"a.csv": ensemble(3, 400)}
    budget = 4 * (25 + 3 * 60)
    found = lighter([short, long, {}], budget)
    assert found.told.startswith("at most 60 points a line (")
    assert found.curves[0] == short and found.curves[2] == {}
    drawn = points(found.curves)
    # The best values' rows come on top, four of a file at most.
    assert all(count in range(60, 65) for count in drawn if count > 25)
    assert sum(drawn) <= budget + 4 * 4 * 2
    epochs = found.curves[1]["a.csv"]["epoch"]
    steps = [b - a for a, b in pairwise(epochs) if b > a]
    assert max(steps) <= 7 and epochs[0] == 0 and epochs[-1] == 399, "evenly, from end to end"


@pytest.mark.parametrize("gap", [1, 7])
def test_the_best_and_the_last_are_told_as_they_were(gap: int) -> None:
    curves = [{"a.csv": ensemble(4, 600, seed, gap)} for seed in range(3)]
    named = [(str(place), found) for place, found in enumerate(curves)]
    light = [(str(place), found) for place, found in enumerate(lighter(curves, 2000).curves)]
    before, after = curve_charts(named), curve_charts(light)
    assert [chart.entries for chart in after] == [chart.entries for chart in before]
    assert len(after) == 4 and all(any(line.best for line in chart.lines) for chart in after)


def test_of_very_many_lines_the_first_are_left() -> None:
    curves = [{"a.csv": ensemble(50, 30)}, {"a.csv": ensemble(2, 30)}]
    found = lighter(curves, 4 * 20 * (10 + 2))
    assert found.told.startswith("at most 20 points a line and 10 lines a run (")
    kept = [sorted({*one["a.csv"]["member"]}) for one in found.curves]
    assert kept == [[float(member) for member in range(10)], [0.0, 1.0]]
    assert lighter(curves, 0).told.startswith("at most 20 points a line and 1 line a run (")


def test_columns_of_unlike_length_and_members_that_are_none() -> None:
    ragged = {"epoch": [float(n) for n in range(100)], "nll": [1.0] * 90, "f1": [0.5] * 40,
              "member": [math.nan] * 60}  # fmt: skip
    (found,) = lighter([{"a.csv": ragged}], 80).curves
    curve = found["a.csv"]
    assert len(curve["f1"]) < len(curve["nll"]) <= len(curve["epoch"])
    told = [epoch for epoch, _ in zip(curve["epoch"], curve["f1"], strict=False)]
    assert told[0] == 0 and told[-1] == 39 and 60 in curve["epoch"]


def test_twenty_ensembles_weigh_little_and_are_soon_rendered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the bound: 14.5 MB of curves, in half a minute."""
    monkeypatch.setattr(page_module, "plotly", lambda: Script("plotly.min.js", "'use strict';"))
    runs = [
        Snapshot(f"run-{n}", "run", curves={"train/curve.csv": ensemble(16, 500, n)})
        for n in range(20)
    ]
    begun = time.process_time()
    html = comparison_page(compare(runs, everything=True), runs)
    spent = time.process_time() - begun
    bare = comparison_page(
        compare(runs, everything=True),
        [Snapshot(run.name, "run") for run in runs],
    )
    weight = (len(html.encode()) - len(bare.encode())) / 1e6
    print(f"{weight:.2f} MB of curves, rendered in {spent:.1f} s of the processor")
    assert weight < 3 and spent < 15
    assert module._POINTS // (20 * 16 * 4) == 93
    text = " ".join(Page(html).text.split())
    said = (
        "of train/curve.csv, at most 93 points a line (more would make the page too heavy), lower"
    )
    assert text.count(said) == 3, "of three losses; an accuracy is better where it is higher"
    assert "too heavy" not in Page(bare).text
    assert '"file":"train/curve.csv"' in html, "by which an address finds its chart"
