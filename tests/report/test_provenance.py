"""What the ledger says of how a snapshot came about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from geocore.report.lockfile import Lock, Locked
from geocore.report.provenance import record_of_results, record_of_run, record_until, runs_of
from geocore.runs.canonical import canonical_json

METRICS = "results/evaluate/metrics.json"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / ".geocore/ledger").mkdir(parents=True)
    return tmp_path


def entry(root: Path, run: str, stage: str, **more: Any) -> dict[str, Any]:
    told = {"run": run, "stage": stage, "state": "done", "started": run, **more}
    (root / f".geocore/ledger/{run}.json").write_text(json.dumps(told))
    return told


def pipeline(root: Path) -> dict[str, Any]:
    entry(root, "1-fetch", "fetch", outs={"data/raw": "raw"}, wall_seconds=1.5)
    entry(root, "2-train", "train", inputs={"raw": "raw"}, outs={"results/train/w": "w1"})
    entry(
        root, "3-train", "train", inputs={"raw": "raw"}, outs={"results/train/w": "w2"},
        pieces={"a": "made", "b": "found", "c": "found"}, params={"train.seed": 3, "train.lr": 1},
        environment={"host": "node1", "python": "3.11", "libraries": {"torch": "2"}},
        code={"commit": "c0", "dirty": True, "digest": "d0"}, peak_rss_mib=12.5, device="cuda",
    )  # fmt: skip
    entry(root, "4-evaluate", "evaluate", inputs={"w": "w2"}, outs={METRICS: "m1"}, study="s/x")
    entry(root, "5-evaluate", "evaluate", inputs={"w": "w2"}, outs={METRICS: "m1"})
    return entry(root, "6-evaluate", "evaluate", inputs={"w": "w1"}, outs={METRICS: "m2"})


def test_the_newest_run_that_gave_these_results_and_what_it_read(root: Path) -> None:
    pipeline(root)
    found = record_of_results(root, {METRICS: "m1"}, Lock())
    runs = {stage: record["run"] for stage, record in found["stages"].items()}
    assert runs == {"fetch": "1-fetch", "train": "3-train", "evaluate": "5-evaluate"}
    assert list(found["stages"]) == ["fetch", "train", "evaluate"]
    train = found["stages"]["train"]
    assert train["pieces"] == {"found": 2, "made": 1}
    assert train["seeds"] == {"train.seed": 3}
    assert (train["host"], train["libraries"]) == ("node1", {"torch": "2"})
    assert (train["commit"], train["dirty"], train["code_digest"]) == ("c0", True, "d0")
    assert (train["peak_rss_mib"], train["device"]) == (12.5, "cuda")
    assert found["stages"]["fetch"]["wall_seconds"] == 1.5
    older = record_of_results(root, {METRICS: "m2"}, Lock())["stages"]
    assert older["train"]["run"] == "2-train"


def test_results_that_no_run_gave_have_no_record(root: Path) -> None:
    pipeline(root)
    assert record_of_results(root, {METRICS: "other"}, Lock()) == {}
    assert record_of_results(root, {}, Lock()) == {}
    assert record_of_results(root / "elsewhere", {METRICS: "m1"}, Lock()) == {}


def test_runs_at_the_commit_count_before_those_that_came_before_it(root: Path) -> None:
    for run, commit, dirty in (
        ("1-train", "c0", False), ("2-train", "c0", True), ("3-train", "c1", True),
        ("4-train", "c1", False), ("5-train", "c2", False),
    ):  # fmt: skip
        entry(root, run, "train", outs={METRICS: "m"}, code={"commit": commit, "dirty": dirty})

    def taken(commit: str | None, until: str) -> str:
        found = record_of_results(root, {METRICS: "m"}, Lock(), commit=commit, until=until)
        run: str = found["stages"]["train"]["run"]
        return run

    assert taken(None, "") == "5-train", "the newest, where there is no commit"
    assert taken("c0", "3") == "1-train", "not the one with changes in it"
    assert taken("c1", "3") == "4-train"
    assert taken("other", "3-z") == "3-train", "the newest before it"
    assert taken("other", "0") == "5-train", "else one that made them again"


def test_what_the_results_were_made_from_is_preferred_alike(root: Path) -> None:
    for run, commit in (("1-fetch", "c0"), ("2-fetch", "c1")):
        entry(root, run, "fetch", outs={"data/raw": "raw"}, code={"commit": commit})
    entry(root, "3-train", "train", inputs={"raw": "raw"}, outs={METRICS: "m"})
    found = record_of_results(root, {METRICS: "m"}, Lock(), commit="c0")["stages"]
    assert found["fetch"]["run"] == "1-fetch"


def test_stages_that_leave_nothing_to_compare_are_known_by_what_they_read(root: Path) -> None:
    page = "results/report/report.html"
    pipeline(root)
    entry(root, "6-report", "report", inputs={"m": "m1"}, outs={page: "p1"}, wall_seconds=7)
    entry(root, "7-report", "report", inputs={"m": "m2"}, outs={page: "p2"})
    entry(root, "8-gate", "gate", inputs={"page": "p1", "m": "m1"}, outs={})
    entry(root, "9-gate", "gate", inputs={"page": "p2", "m": "m2"}, outs={})
    lock = Lock({name: Locked() for name in ("gate", "report", "evaluate", "ntk")})
    found = record_of_results(root, {METRICS: "m1"}, lock)["stages"]
    assert (found["report"]["run"], found["gate"]["run"]) == ("6-report", "8-gate")
    assert found["report"]["wall_seconds"] == 7 and "ntk" not in found
    assert "gate" not in record_of_results(root, {METRICS: "m1"}, Lock())["stages"]
    # One that gives what is compared counts by that, whatever it reads.
    entry(root, "9-ntk", "ntk", inputs={"m": "m1"}, outs={"results/ntk/metrics.json": "n"})
    assert "ntk" not in record_of_results(root, {METRICS: "m1"}, lock)["stages"]


def test_a_study_has_runs_of_its_own(root: Path) -> None:
    pipeline(root)
    found = record_of_results(root, {METRICS: "m1"}, Lock(), study="s/x")["stages"]
    assert found["evaluate"]["run"] == "4-evaluate"
    assert record_of_results(root, {METRICS: "m1"}, Lock(), study="s/y") == {}


def test_of_equal_files_the_nearest_study_gave_what_was_read(root: Path) -> None:
    for run, study in (("1-train", "s/a/x"), ("2-train", "s/b/x"), ("3-train", "s/a/y")):
        entry(root, run, "train", outs={"results/train/model.json": "same"}, study=study)
    entry(root, "4-fetch", "fetch", outs={"data/raw": "raw"}, study="s/a")
    reads = {"model": "same", "raw": "raw"}
    last = entry(root, "5-evaluate", "evaluate", inputs=reads, outs={METRICS: "m"}, study="s/a/x")
    runs = {name: told["run"] for name, told in record_of_run(root, last)["stages"].items()}
    assert runs == {"train": "1-train", "fetch of a": "4-fetch", "evaluate": "5-evaluate"}
    whole = entry(root, "6-train", "train", inputs={"raw": "raw"})
    assert "fetch of s/a" in record_of_run(root, whole)["stages"]
    entry(root, "7-fetch", "fetch", outs={"data/raw": "own"})
    last = entry(root, "8-train", "train", inputs={"raw": "own"}, study="s/a/x")
    entry(root, "9-train", "train", outs={"w": "other"}, study="s/b/x")
    reader = entry(root, "9-evaluate", "evaluate", inputs={"w": "other"}, study="s/a/x")
    assert "train of b/x" in record_of_run(root, reader)["stages"]
    assert "fetch of the root" in record_of_run(root, last)["stages"]


def test_the_lock_s_data_without_code(root: Path) -> None:
    stage = Locked(deps={"data/raw": "1", "geocore/a.py": "2"}, outs={"results/train": "3"})
    found = record_of_results(root, {}, Lock({"train": stage}))
    assert found == {"lock": {"train": {"deps": {"data/raw": "1"}, "outs": {"results/train": "3"}}}}


def test_a_run_of_one_stage_and_of_the_whole(root: Path) -> None:
    last = pipeline(root)
    stages = record_of_run(root, last)["stages"]
    assert {stage: record["run"] for stage, record in stages.items()} == {
        "fetch": "1-fetch", "train": "2-train", "evaluate": "6-evaluate"
    }  # fmt: skip
    whole = entry(root, "5-repro", "repro", ended="5-z", wall_seconds=9)
    told = record_until(root, whole)
    assert told["whole"]["wall_seconds"] == 9
    assert {stage: record["run"] for stage, record in told["stages"].items()} == {
        "fetch": "1-fetch", "train": "3-train", "evaluate": "5-evaluate"
    }  # fmt: skip


def test_the_whole_has_the_stages_that_left_nothing(root: Path) -> None:
    pipeline(root)
    entry(root, "6-gate", "gate", inputs={"m": "m2"}, outs={})
    entry(root, "7-train", "train", state="failed")
    whole = entry(root, "5-repro", "repro", started="5-repro", ended="6-z")
    stages = record_until(root, whole)["stages"]
    assert (stages["gate"]["run"], stages["train"]["run"]) == ("6-gate", "3-train")
    later = entry(root, "7-repro", "repro", started="6-y", ended="7-z")
    stages = record_until(root, later)["stages"]
    assert "gate" not in stages and stages["train"]["state"] == "failed"


def test_the_whole_has_the_runs_that_gave_its_results_not_newer_ones(root: Path) -> None:
    pipeline(root)
    noted = runs_of(record_of_results(root, {METRICS: "m2"}, Lock()))
    assert noted == {"fetch": "1-fetch", "train": "2-train", "evaluate": "6-evaluate"}
    entry(root, "7-train", "train", outs={"results/train/w": "w3"})
    whole = entry(root, "8-repro", "repro", ended="8-z", stage_runs={**noted, "ntk": "lost"})
    stages = record_until(root, whole)["stages"]
    assert runs_of({"stages": stages}) == noted
    assert list(stages) == ["fetch", "train", "evaluate"]
    # Nothing is known of what gave its results: no other run stands for it.
    assert "stages" not in record_until(root, {**whole, "stage_runs": {}})
    del whole["stage_runs"]
    assert record_until(root, whole)["stages"]["train"]["run"] == "7-train"


def test_a_stage_that_failed_in_the_whole_stands_over_the_one_that_gave_the_results(
    root: Path,
) -> None:
    pipeline(root)
    noted = runs_of(record_of_results(root, {METRICS: "m2"}, Lock()))
    entry(root, "7-train", "train", state="failed")
    entry(root, "8-train", "train", state="failed", study="s/x")
    whole = entry(root, "7-repro", "repro", started="7-a", ended="8-z", stage_runs=noted)
    stages = record_until(root, whole)["stages"]
    assert runs_of({"stages": stages}) == {**noted, "train": "7-train"}
    assert stages["train"]["state"] == "failed"


@pytest.mark.parametrize(
    "odd",
    [
        *({"environment": 3}, {"inputs": [1]}, {"outs": "x"}, {"seeds": 1}, {"ended": None}),
        *({"stage_runs": 3}, {"stage_runs": {"train": ["x"]}}),
    ],
)
def test_an_odd_entry_is_no_traceback(root: Path, odd: dict[str, Any]) -> None:
    told = entry(root, "1-train", "train", **odd)
    for found in (record_of_run(root, told), record_until(root, told)):
        json.loads(canonical_json(found))
