"""Scores by view and grid, from a pipeline's metrics."""

from __future__ import annotations

from geocore.report.pixel_scores import pixel_scores
from geocore.report.snapshot import Snapshot
from geocore.report.summary import summary_page
from tests.report.reader import Page

METRICS: dict[str, float | None] = {
    "evaluate.test.tilted.sphere.miou": 0.6,
    "evaluate.test.tilted.sphere.miou_without": 0.65,
    "evaluate.test.tilted.sphere.iou.road": 0.9,
    "evaluate.test.all.sphere.miou": 0.7,
    "evaluate.test.all.sphere.miou_without": 0.75,
    "evaluate.test.all.sphere.nll": None,
    "evaluate.test.all.plane.miou": 0.68,
    "evaluate.test.all.plane.miou_without": 0.7,
    "evaluate.val.all.sphere.miou": 0.8,
    "evaluate.headline.miou": 0.7,
}


def test_views_in_order_with_their_measures() -> None:
    found = pixel_scores(METRICS)
    assert [(row.view, row.grid) for row in found] == [
        ("all", "in the image plane"), ("all", "on the sphere"), ("tilted", "on the sphere")
    ]  # fmt: skip
    assert found[1].values == {"miou": 0.7, "miou_without": 0.75, "nll": None}
    assert found[2].values == {"miou": 0.6, "miou_without": 0.65}
    assert pixel_scores({"evaluate.test.accuracy": 0.9, "evaluate.test.plane.miou": 1.0}) == []


def test_a_mean_without_nothing_is_no_column() -> None:
    same = {
        name: METRICS[name.replace("_without", "")] if "_without" in name else value
        for name, value in METRICS.items()
    }
    assert all("miou_without" not in row.values for row in pixel_scores(same))


def test_the_page_has_a_row_for_each() -> None:
    page = Page(summary_page(Snapshot("x", "workspace", metrics=METRICS), "Pixels"))
    assert page.faults == []
    text = " ".join(page.text.split())
    for words in (
        "Pixel by pixel, on the test split", "mean IoU without invalid classes", "higher is better",
        "all in the image plane 0.68 0.7", "tilted on the sphere 0.6 0.65",
    ):  # fmt: skip
        assert words in text, words
    assert not any(f"{figure} best" in text for figure in ("0.7", "0.75")), "of different pixels"
    assert "Side by side" not in text
