"""The panel of twins: each network beside its ensemble and kernels, deltas against itself."""

from __future__ import annotations

import math

from geocore.report.panels import twins_panel
from tests.report.panels.scenes import EVIL, page_of, snapshot

METRICS: dict[str, float | None] = {
    "evaluate.test.accuracy": 0.95,
    "evaluate.test.nll": 0.2,
    "evaluate.test.ece": 0.01,
    "evaluate.ensemble.test.accuracy": 0.97,
    "evaluate.ensemble.test.nll": 0.15,
    "evaluate.ensemble.test.ece": 0.02,
    "evaluate.ensemble.test.members.accuracy.min": 0.94,
    "evaluate.ensemble.test.members.accuracy.mean": 0.955,
    "evaluate.ensemble.test.members.accuracy.max": 0.965,
    "evaluate.ensemble.test.members.count": 4,
    "evaluate.ntk.test.accuracy": 0.9,
    "synthesize.test.float.accuracy": 0.5,
}


def test_values_and_deltas_against_the_runs_own_network() -> None:
    text = " ".join(page_of(twins_panel([snapshot(metrics=METRICS)])).text.split())
    for words in (
        "network the trained network 0.95", "0.97 +0.02 better", "0.15 −0.05 better",
        "0.02 +0.01 worse", "NTK the infinitely wide network, all of it trained 0.9 −0.05 worse",
        "mean member of the ensemble: 4 members alone 0.955 (0.94 to 0.965) +0.005 better",
        "not measured",
    ):  # fmt: skip
        assert words in text, words
    assert "student" not in text and "0.5" not in text.split()


def test_every_run_has_a_body_of_rows_and_marks_of_its_own() -> None:
    alone = snapshot("alone", metrics={"evaluate.test.accuracy": 0.9})
    page = page_of(
        twins_panel([snapshot("a", metrics=METRICS), alone, snapshot("b", metrics=METRICS)])
    )
    assert page.faults == []
    assert [a["data-run"] for tag, a in page.tags if tag == "tbody"] == ["0", "2"]
    assert set(page.attributes("data-run")) == {"0", "2"}
    assert "alone" not in page.text.replace("members alone", "")
    whiskers = [a for _, a in page.tags if (a.get("class") or "").startswith("whisker")]
    assert len(whiskers) == 2
    scopes = [a.get("scope") for tag, a in page.tags if tag == "th"]
    assert None not in scopes and scopes.count("rowgroup") == 2


def test_an_ensemble_without_its_network_has_no_deltas() -> None:
    metrics = {
        name: value for name, value in METRICS.items() if "ensemble" in name or "ntk" in name
    }
    html = twins_panel([snapshot(metrics=metrics)])
    assert 'class="delta' not in html and "0.97" in html


def test_numbers_that_are_none_count_as_not_measured() -> None:
    odd = {**METRICS, "evaluate.test.nll": math.nan, "evaluate.ntk.test.accuracy": math.inf,
           "evaluate.ensemble.test.members.count": math.nan}  # fmt: skip
    text = page_of(twins_panel([snapshot(metrics=odd)])).text
    assert "nan" not in text and "inf" not in text.replace("infinitely", "")
    assert "NTK" not in text and "its members alone" in text


def test_nothing_names_and_equal_bytes() -> None:
    assert twins_panel([]) == "" == twins_panel([snapshot(metrics={"evaluate.test.nll": 1.0})])
    evil = snapshot(EVIL, metrics=METRICS)
    page = page_of(twins_panel([evil]))
    assert not page.names() & {"script", "img"} and page.handlers() == set()
    assert EVIL in page.text
    assert twins_panel([evil]) == twins_panel([evil])
