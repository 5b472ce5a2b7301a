"""What the ledger says of how a snapshot came about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from geocore.report.lockfile import Lock, Locked
from geocore.report.provenance import record_of_results, record_of_run, record_until
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


@pytest.mark.parametrize(
    "odd", [{"environment": 3}, {"inputs": [1]}, {"outs": "x"}, {"seeds": 1}, {"ended": None}]
)
def test_an_odd_entry_is_no_traceback(root: Path, odd: dict[str, Any]) -> None:
    told = entry(root, "1-train", "train", **odd)
    for found in (record_of_run(root, told), record_until(root, told)):
        json.loads(canonical_json(found))
