"""The page of one pipeline's results."""

from __future__ import annotations

from typing import Any

from geocore.report.snapshot import Snapshot
from geocore.report.summary import Sheet, summary_page
from tests.report.reader import Page
from tests.report.scene import png

METRICS = {
    "evaluate.test.accuracy": 0.98,
    "evaluate.test.nll": 0.06,
    "evaluate.test.ece": None,
    "evaluate.ensemble.test.accuracy": 0.99,
    "evaluate.ensemble.test.nll": 0.05,
    "synthesize.test.firmware.accuracy": 0.97,
    "evaluate.per_class.<b>.f1": 1.0,
}
GATES: dict[str, dict[str, Any]] = {
    "evaluate.accuracy_min": {"value": 0.98, "bound": 0.9, "sense": "min", "passed": True},
    "evaluate.nll_max": {"value": None, "bound": 0.01, "sense": "max", "passed": False},
}


def page() -> Page:
    results = Snapshot(
        "this pipeline",
        "workspace",
        metrics=METRICS,
        gates=GATES,
        curves={"train/curve.csv": {"epoch": [0.0, 1.0], "val_nll": [1.0, 0.5]}},
        pictures={"resample/mollweide.png": png(3)},
    )
    sheets = [Sheet("synthesize/layers.csv", ("layer", "bits"), (("<i>conv</i>", "6"),))]
    return Page(summary_page(results, "What <this> measured", sheets))


def test_everything_is_there_as_text() -> None:
    found = page()
    assert found.faults == []
    assert not found.names() & {"script", "link", "i", "b"}
    assert found.fetched() == set()
    text = " ".join(found.text.split())
    for words in (
        "What <this> measured", "1 of 2 gates fails", "network the trained network 0.98",
        "0.99 best", "0.05 best", "not measured", "firmware", "null fails", "0.98 holds",
        "resample: mollweide", "<i>conv</i> 6", "evaluate.per_class", "<b>.f1", "epoch 1",
    ):  # fmt: skip
        assert words in text, words


def test_the_bars_are_parts_of_the_column() -> None:
    widths = [style for style in page().attributes("style") if "width" in style]
    assert widths == [
        "width:98.0%", "width:100.0%", "width:99.0%", "width:83.3%", "width:97.0%"
    ]  # fmt: skip


def test_nothing_at_all() -> None:
    found = Page(summary_page(Snapshot("x", "workspace"), "Nothing"))
    assert found.faults == []
    assert "Nothing" in found.text
