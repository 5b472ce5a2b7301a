"""The provenance drawer: where results came from, what they cost, which stage read which."""

from __future__ import annotations

from typing import Any

import pytest

from geocore.report.panels import provenance_panel
from geocore.report.panels.provenance import _duration
from geocore.report.snapshot import Snapshot
from tests.report.panels.scenes import EVIL, page_of, snapshot, stage

STAGES = {
    "train": stage("run-t", inputs={"raw": "1"}, outs={"w": "2"}, wall_seconds=200.0, threads=2,
                   pieces={"made": 2, "found": 3}, code_digest="c" * 32, commit="d" * 40),
    "fetch": stage("run-f", outs={"raw": "1"}, pieces={"found": 1}, seeds={"data.seed": 0},
                   libraries={"torch": "2.1"}, platform="Linux", requirements_lock="e" * 32),
    "evaluate": stage("run-e", inputs={"weights": "2"}, state="failed", error="out of memory",
                      pieces={}, seeds={}),
}  # fmt: skip


def run(name: str = "main", **changes: Any) -> Snapshot:
    told: dict[str, Any] = {
        "commit": "a" * 40, "dirty": True, "record": {"stages": STAGES},
        "data": {"data/raw": "1" * 32}, "code": {"geocore/a.py": "2" * 40},
        "params": {"train.seed": 3, "train.lr": 0.1, "ensemble.first_seed": 7},
    }  # fmt: skip
    return snapshot(name, **{**told, **changes})


def test_it_tells_commit_machine_costs_and_cache_hits() -> None:
    page = page_of(provenance_panel([run()]))
    assert page.faults == []
    text = " ".join(page.text.split())
    for words in (
        "a" * 40 + ", with changes that were not committed", "d" * 12,
        "environment lock" + "e" * 12,
        "platformLinux", "torch 2.1", "data.seed 0, ensemble.first_seed 7, train.seed 3",
        "3 stages, 3 min 40 s, 4 of 6 pieces found in the store",
        "train run-t computed 3 / 2 3 min 20 s 100 MiB cpu, 2 threads train.seed 3 fetch ccccc",
        "fetch run-f found in the store 1 / 0 10.0 s", "evaluate run-e failed out of memory 0 / 0",
        "1 digest (dvc.lock, files as they lie)", "1" * 32 + " data/raw",
        "2" * 40 + " geocore/a.py",
    ):  # fmt: skip
        assert words in text, words
    assert "d" * 13 not in text


def test_the_drawing_has_a_box_a_stage_in_its_state_and_an_arrow_an_edge() -> None:
    page = page_of(provenance_panel([run()]))
    states = [a["class"] for tag, a in page.tags if tag == "g"]
    assert sorted(filter(None, states)) == ["failed", "found", "made"]
    assert sum(a.get("class") == "arrow" for _, a in page.tags) == 2
    for words in ("fetch → train", "train → evaluate", "train: computed", "evaluate: failed"):
        assert words in page.text
    assert any("3 stages, 2 edges" in label for label in page.attributes("aria-label"))


def test_stages_stand_in_the_order_of_the_work() -> None:
    page = page_of(provenance_panel([run()]))
    order = [page.text.index(name) for name in ("run-f", "run-t", "run-e")]
    assert order == sorted(order)


def test_each_run_has_its_drawer_and_lists_tell_what_differs() -> None:
    first = {"data/raw": "1" * 32, "data/own": "7" * 32, "data/x": "3" * 32}
    third = {"data/raw": "9", "data/x": "3" * 32}
    runs = [run("one", data=first), run("two", data=first), run("three", data=third)]
    html = provenance_panel(runs)
    page = page_of(html)
    drawers = [a["data-run"] for tag, a in page.tags if tag == "details" and "data-run" in a]
    assert drawers == ["0", "1", "2"]
    assert page.text.count("1" * 32) == 1, "an equal list stands once"
    assert page.text.count("the same as of one") == 3
    assert "2 not as of one" in page.text
    assert "not there  data/own\n9  data/raw\n" in page.text
    assert html == provenance_panel(runs)
    strange = page_of(provenance_panel([runs[0], run("other", data={"data/y": "5" * 32})]))
    assert "5" * 32 + "  data/y" in strange.text and "not there" not in strange.text


def test_the_lock_alone_draws_what_nobody_recorded() -> None:
    lock = {"a": {"deps": {}, "outs": {"x": "1"}}, "b": {"deps": {"x": "1"}, "outs": {}}}
    page = page_of(provenance_panel([run(record={"lock": lock})]))
    assert page.text.count("not recorded") >= 2 and "a → b" in page.text
    assert "The ledger here knows none of the runs" in page.text


def test_stages_that_no_run_is_known_of_are_named() -> None:
    lock = {name: {"deps": {}, "outs": {name: "1"}} for name in ("fetch", "gate")}
    record = {"stages": {"fetch": stage("f")}, "lock": lock}
    page = page_of(provenance_panel([snapshot("known", record=record)]))
    assert "Not recorded: gate. The ledger here has no run of it" in page.text
    page = page_of(provenance_panel([snapshot("none", record={"lock": lock})]))
    assert "Not recorded:" not in page.text and "knows none of the runs" in page.text


def test_a_whole_run_is_a_row_of_its_own() -> None:
    page = page_of(provenance_panel([run(record={"whole": stage("w1"), "stages": STAGES})]))
    assert "all of it" in page.text and "w1" in page.text
    assert "3 stages, 3 min 40 s" in page.text, "its time is that of the stages, not added to it"


@pytest.mark.parametrize("record", [
    {"stages": 3}, {"stages": {"a": None}}, {"lock": {"a": [1]}, "whole": "x"},
    {"stages": {"a": {"state": 5, "wall_seconds": "x", "pieces": [1], "seeds": 2, "outs": 7,
                      "inputs": "q", "libraries": [3], "error": {"b": 1}, "threads": None}}},
])  # fmt: skip
def test_records_of_another_shape_are_no_traceback(record: dict[str, Any]) -> None:
    assert page_of(provenance_panel([run(record=record)])).faults == []


def test_names_and_errors_stay_text() -> None:
    told = stage(EVIL, error=EVIL, device=EVIL, code_digest=EVIL, seeds={EVIL: EVIL}, host=EVIL,
                 libraries={EVIL: EVIL}, outs={EVIL: EVIL}, inputs={EVIL: EVIL})  # fmt: skip
    evil = run(EVIL, commit=EVIL, record={"stages": {EVIL: told, "b": told}}, data={EVIL: EVIL},
               code={EVIL: EVIL}, params={"x.seed": EVIL}, data_kind=EVIL)  # fmt: skip
    page = page_of(provenance_panel([evil]))
    assert page.faults == [] and page.handlers() == set() and page.fetched() == set()
    assert not page.names() & {"script", "img"}
    assert page.text.count("<script>alert(1)</script>") > 10


def test_nothing() -> None:
    assert provenance_panel([]) == "" == provenance_panel([snapshot()])


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "–"), (0.04, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (200.0, "3 min 20 s"),
     (3599.6, "1 h 00 min"), (7501.0, "2 h 05 min")],
)  # fmt: skip
def test_durations(seconds: float | None, words: str) -> None:
    assert _duration(seconds) == words
