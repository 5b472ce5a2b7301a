"""The last good run, and the table of metrics against it."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from geocore.errors import GateError
from geocore.pipeline.lastgood import last_good, metric_rows, named_targets
from geocore.report.snapshot import Snapshot
from geocore.runs.home import ledger_folder
from geocore.runs.ledger import Ledger


def snapshot(accuracy: float, *, bound: float = 0.95, **more: float) -> Snapshot:
    gate = {
        "metric": "accuracy",
        "value": accuracy,
        "bound": bound,
        "sense": "min",
        "passed": accuracy >= bound,
    }
    return Snapshot(
        name="now",
        kind="run",
        metrics={"evaluate.test.accuracy": accuracy, **more},
        gates={"evaluate.accuracy_min": gate},
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger", tmp_path)


def record(
    ledger: Ledger, accuracy: float, targets: list[str] | None = None, *, fails: bool = False
) -> str:
    """A run of ``repro`` in the ledger; returns its name."""
    with suppress(GateError), ledger.record("repro", targets=named_targets(targets)) as run:
        run.note(snapshot=snapshot(accuracy).to_json())
        if fails:
            raise GateError("gate: accuracy is too low; expected more")
    return run.id


def began(ledger: Ledger, run: str, second: int) -> None:
    """Set when a run began: the tests' runs begin within one second."""
    path = ledger.root / f"{run}.json"
    entry = json.loads(path.read_text())
    del entry["checksum"]  # of what is changed here
    path.write_text(json.dumps({**entry, "started": f"2026-01-01T00:00:{second:02}+00:00"}))


def test_it_is_the_newest_that_ended_well(ledger: Ledger) -> None:
    assert last_good(ledger) is None
    old, good, failed = (record(ledger, 0.9 + n / 100, fails=n == 2) for n in range(3))
    for second, run in enumerate((old, good, failed)):
        began(ledger, run, second)
    found = last_good(ledger)
    assert found is not None
    assert found.name == good
    assert found.metrics == {"evaluate.test.accuracy": 0.91}


def test_other_targets_are_another_matter(ledger: Ledger) -> None:
    record(ledger, 0.9)
    assert last_good(ledger, ["train"]) is None
    run = record(ledger, 0.8, ["train", "gate"])
    found = last_good(ledger, ["gate", "train", "gate"])
    assert found is not None
    assert found.name == run


@pytest.mark.parametrize("noted", [{}, {"snapshot": {"metrics": "none"}}])
def test_a_run_without_a_snapshot_is_passed_over(ledger: Ledger, noted: dict[str, Any]) -> None:
    good = record(ledger, 0.9)
    began(ledger, good, 0)
    with ledger.record("repro", targets=[]) as run:
        run.note(**noted)
    found = last_good(ledger)
    assert found is not None
    assert found.name == good


def test_gates_come_first_then_what_differs() -> None:
    before, now = snapshot(0.5, alike=1.0, nll=0.5), snapshot(0.25, alike=1.0, nll=0.25, new=2.0)
    rows = metric_rows(now, before)
    assert [row["metric"] for row in rows] == [
        "evaluate: accuracy", "evaluate.test.accuracy", "new", "nll", "alike",
    ]  # fmt: skip
    assert rows[0] == {
        "metric": "evaluate: accuracy",
        "last good": 0.5,
        "now": 0.25,
        "delta": -0.25,
        "verdict": "worse",
        "gate": "failed: expected at least 0.95 (gate.accuracy_min)",
    }
    assert rows[1] | {"metric": "", "gate": ""} == rows[0] | {"metric": "", "gate": ""}
    assert rows[2] == {
        "metric": "new", "last good": None, "now": 2.0, "delta": None, "verdict": "", "gate": ""
    }  # fmt: skip
    assert rows[3]["verdict"] == "better"
    assert rows[4]["delta"] == 0
    json.dumps(rows, allow_nan=False)


def test_without_a_run_before_there_are_figures_all_the_same() -> None:
    rows = metric_rows(snapshot(0.96), None)
    assert [row["now"] for row in rows] == [0.96, 0.96]
    assert rows[0]["gate"] == "passed: expected at least 0.95 (gate.accuracy_min)"
    assert all(row["last good"] is None and row["delta"] is None for row in rows)


def test_what_could_not_be_measured_has_no_figure() -> None:
    now = Snapshot(
        name="now",
        kind="run",
        metrics={"evaluate.test.nll": None},
        gates={
            "evaluate.nll_max": {
                "metric": "nll", "value": None, "bound": 1.0, "sense": "max", "passed": False
            }
        },
    )  # fmt: skip
    rows = metric_rows(now, now)
    assert [row["now"] for row in rows] == [None, None]
    assert rows[0]["gate"] == "failed: expected at most 1.0 (gate.nll_max)"


def test_its_pictures_come_from_the_cache(ledger: Ledger, tmp_path: Path) -> None:
    before = replace(snapshot(0.9), pictures={"evaluate/a.png": b"first", "evaluate/b.png": b"x"})
    with ledger.record("repro", targets=[]) as run:
        run.note(snapshot=before.to_json())
    md5 = hashlib.md5(b"first").hexdigest()
    kept = tmp_path / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"first")
    found = last_good(ledger, root=tmp_path)
    assert found is not None
    assert found.pictures == {"evaluate/a.png": b"first"}
    assert found.notes == ("no longer in DVC's cache here: evaluate/b.png",)


def test_its_stages_come_from_the_ledger(tmp_path: Path) -> None:
    ledger = Ledger(ledger_folder(tmp_path), tmp_path)
    with ledger.record("train") as train:
        train.note(outs={"results/train/metrics.json": "a"}, pieces={"k": "found"})
    good = record(ledger, 0.9)
    found = last_good(ledger, root=tmp_path)
    assert found is not None
    assert (found.kind, found.about) == ("run", f"run {good}, done")
    assert found.record["whole"]["run"] == good
    told = found.record["stages"]["train"]
    assert (told["run"], told["pieces"]) == (train.id, {"found": 1})
    assert told["host"] and told["wall_seconds"] >= 0
