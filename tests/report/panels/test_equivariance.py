"""The panel of equivariance errors: numbers by layer, element and nside; gates; broken tables."""

from __future__ import annotations

import re
from typing import Any

import pytest

from geocore.report.panels import equivariance_panel
from geocore.report.panels.equivariance_errors import TABLE, errors_of
from geocore.report.snapshot import Snapshot
from tests.report.panels.scenes import EVIL, error_table, page_of, parquet, snapshot

FLOAT = ("quarter_turn", "float32")
GATE = {"metric": "quarter_turn_error", "value": 1e-3, "bound": 1e-4, "sense": "max",
        "passed": False}  # fmt: skip


def measured(name: str = "main", scale: float = 1.0, **changes: object) -> Snapshot:
    return snapshot(name, tables={TABLE: error_table(scale)}, **changes)


def test_metrics_stand_in_for_the_table_without_an_order() -> None:
    prefix = "evaluate.equivariance.quarter_turn"
    metrics = {f"{prefix}.logits.mean": 2e-7, f"{prefix}.logits.max": 3e-7,
               f"{prefix}.a.b.mean": 1e-7, f"{prefix}.input.mean": 0.0,
               "evaluate.equivariance.z.logits.mean": None}  # fmt: skip
    errors = errors_of(snapshot(metrics=metrics))
    assert errors.layers == ("input", "a.b", "logits") and not errors.ordered
    assert errors.stats[FLOAT]["logits"].largest == 3e-7
    text = page_of(equivariance_panel([snapshot(metrics=metrics)])).text
    assert "the metrics alone are here" in text
    assert 'class="line' not in equivariance_panel([snapshot(metrics=metrics)])


def test_it_shows_runs_beside_each_other() -> None:
    html = equivariance_panel([measured("one"), snapshot("none"), measured("two", 10.0)])
    page = page_of(html)
    text = " ".join(page.text.split())
    for words in (
        "computed in float32", "Quarter turns about the vertical", "Rotations in SO(3)",
        "0.00015 largest 0.0002", "0.0015 largest 0.002", "floor 0.015", "−90°", "no. 0", "30°",
        "by group element",
    ):  # fmt: skip
        assert words in text, words
    assert page.faults == []
    assert set(page.attributes("data-run")) == {"0", "2"}
    assert {run for tag, a in page.tags if tag == "td" and (run := a.get("data-run"))} == {"0", "2"}
    assert all("data-run" in a for tag, a in page.tags if a.get("class", "").startswith("spot"))  # type: ignore[union-attr]


def test_larger_errors_are_warmer_and_rounding_is_cold() -> None:
    def warmth(html: str) -> list[int]:
        return [int(found) for found in re.findall(r"--heat:(\d+)%", html)]

    warm, cold = (warmth(equivariance_panel([measured(scale=s)])) for s in (1.0, 1e-6))
    assert max(warm) == 100 and len(set(warm)) > 2
    assert max(cold) < 40


def test_a_gate_is_a_line_of_all_or_of_its_run() -> None:
    gates = {"evaluate.quarter_turn_error_max": GATE}
    both = equivariance_panel([measured("a", gates=gates), measured("b", gates=gates)])
    assert both.count('<path class="bound"') == 1
    assert "the answer&#39;s largest error at most 0.0001" in both
    one = page_of(equivariance_panel([measured("a"), measured("b", gates=gates)]))
    bounds = [a for _, a in one.tags if (a.get("class") or "").startswith("bound")]
    assert [a["data-run"] for a in bounds] == ["1"]


def test_runs_of_different_nside_are_drawn_against_it() -> None:
    sizes = [measured(str(n), 1 / n, params={"resample.nside": n}) for n in (4, 8, 8)]
    assert "The answer, by nside" in equivariance_panel(sizes)
    assert "The answer, by nside" not in equivariance_panel(sizes[1:])
    assert "nside 8" in equivariance_panel(sizes[1:])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "expected the table that evaluate writes"),
        (b"PAR1 nothing PAR1", "expected the table that evaluate writes"),
        (error_table()[:-9], "expected the table that evaluate writes"),
        (parquet({"layer": ["a"], "group": ["z"]}), "has no column error"),
        (parquet({"layer": ["a"], "group": ["z"], "error": ["x"]}), "evaluate/equivariance"),
    ],
)
def test_a_table_that_cannot_be_read_is_a_line(content: bytes, told: str) -> None:
    page = page_of(equivariance_panel([measured("good"), snapshot("bad", tables={TABLE: content})]))
    (note,) = [a for _, a in page.tags if a.get("class") == "note"]
    assert note["data-run"] == "1"
    assert told in page.text and "bad: evaluate/equivariance.parquet" in page.text
    assert "Traceback" not in page.text


def test_names_stay_text() -> None:
    columns: dict[str, list[Any]] = {
        "layer": [EVIL], "group": [EVIL], "error": [0.5], "dtype": [EVIL], "element": [1]
    }  # fmt: skip
    page = page_of(equivariance_panel([snapshot(EVIL, tables={TABLE: parquet(columns)})]))
    assert page.faults == [] and page.handlers() == set() and page.fetched() == set()
    assert not page.names() & {"script", "img"}
    assert page.text.count("<script>alert(1)</script>") > 5


def test_nothing_and_equal_bytes() -> None:
    assert equivariance_panel([]) == "" == equivariance_panel([snapshot()])
    assert equivariance_panel([measured()]) == equivariance_panel([measured()])
