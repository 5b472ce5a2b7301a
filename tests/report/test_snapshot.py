"""A snapshot as JSON and back, and what is told of one that is none."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from geocore.errors import UserError
from geocore.report.curve_chart import curve_charts
from geocore.report.snapshot import Snapshot, md5_of
from geocore.runs.canonical import canonical_json

WHOLE = Snapshot(
    name="main",
    kind="revision",
    commit="a" * 40,
    about="a subject",
    params={"train.lr": 0.1, "train.note": None, "model.depths": [2, 2]},
    metrics={"evaluate.test.accuracy": 0.9, "evaluate.test.n": 10, "evaluate.test.ece": None},
    gates={"evaluate.accuracy_min": {"value": 0.9, "bound": 0.8, "sense": "min", "passed": True}},
    code={"geocore/a.py": "1"},
    data={"data/raw": "2"},
    curves={"train/curve.csv": {"epoch": [0.0, 1.0], "val_nll": [2.0, 1.0]}},
    pictures={"evaluate/a.png": b"png"},
    tables={"synthesize/ledger.csv": b"a"},
    record={"stages": {}},
    notes=("a note",),
)


def test_json_and_back() -> None:
    value = json.loads(canonical_json(WHOLE.to_json()))
    back = Snapshot.from_json("other", value)
    assert (back.name, back.kind, back.commit, back.about) == (
        "other",
        "revision",
        "a" * 40,
        WHOLE.about,
    )
    for section in ("params", "metrics", "gates", "code", "data", "curves", "notes"):
        assert getattr(back, section) == getattr(WHOLE, section), section
    assert (back.pictures, back.tables, back.record) == ({}, {}, {})
    assert value["tables"] == {"synthesize/ledger.csv": md5_of(b"a")}
    assert back.unread == {"evaluate/a.png": md5_of(b"png"), **value["tables"]}
    assert back.to_json() == value
    assert (back.dirty, back.base) == (False, "a" * 12)


def test_a_dirty_commit_says_so() -> None:
    dirty = Snapshot.from_json("r", {**WHOLE.to_json(), "dirty": True})
    assert dirty.base == "a" * 12 + "+"
    assert Snapshot("w", "workspace", dirty=True).base == "none"


def test_what_an_older_version_did_not_note_is_not_known() -> None:
    value = WHOLE.to_json()
    del value["pictures"], value["other_code"], value["dirty"], value["tables"]
    back = Snapshot.from_json("r", value)
    assert (back.unread, back.other_code, back.dirty) == (None, None, False)


def test_what_json_does_not_hold() -> None:
    curve = {"x": {"a": [math.nan, 1.0], "b": [math.inf, 2.0]}}
    odd = Snapshot("w", "workspace", params={"a": math.nan}, metrics={"m": math.inf}, curves=curve)
    value = json.loads(canonical_json(odd.to_json()))
    assert (value["params"], value["metrics"]) == ({"a": None}, {"m": None})
    back = Snapshot.from_json("w", value)
    assert math.isnan(back.curves["x"]["a"][0])
    assert back.curves["x"]["b"][1] == 2.0


def test_a_long_curve_is_thinned_evenly() -> None:
    rows = [float(row) for row in range(10_001)]
    curve = {"c": {"epoch": rows, "val_nll": rows}}
    thinned = Snapshot("w", "workspace", curves=curve).to_json()["curves"]["c"]
    assert len(thinned["epoch"]) == 200
    assert thinned["epoch"] == thinned["val_nll"]
    assert (thinned["epoch"][0], thinned["epoch"][-1]) == (0.0, 10_000.0)
    steps = {b - a for a, b in zip(thinned["epoch"], thinned["epoch"][1:], strict=False)}
    assert max(steps) - min(steps) <= 1


def test_the_best_and_the_last_of_each_line_stay() -> None:
    length, members = 301, 8
    curve = {
        "member": [float(m) for _ in range(length) for m in range(members)],
        "epoch": [float(e) for e in range(length) for _ in range(members)],
        "val_nll": [1.0 + e for e in range(length) for _ in range(members)],
        "val_accuracy": [0.5] * (length * members),
    }
    for member in range(members):
        best = (37 + member) * members + member
        curve["val_nll"][best], curve["val_accuracy"][best + members] = -1.0 - member, 0.9
    curve["val_nll"][members * 5] = math.nan
    whole = Snapshot("w", "workspace", curves={"c.csv": curve})
    back = Snapshot.from_json("w", whole.to_json())
    found = back.curves["c.csv"]
    assert len(found["epoch"]) <= 200 + 2 * members
    for before, after in zip(
        curve_charts([("w", whole.curves)]), curve_charts([("w", back.curves)]), strict=True
    ):
        assert after.entries == before.entries
        assert len(after.lines) == members
        assert [line.path.split("L")[-1] for line in after.lines] == [
            line.path.split("L")[-1] for line in before.lines
        ]
    for member in range(members):
        rows = [row for row, m in enumerate(found["member"]) if m == member]
        epochs = [found["epoch"][row] for row in rows]
        assert (epochs[0], epochs[-1]) == (0.0, 300.0)
        assert {37.0 + member, 38.0 + member} <= set(epochs)
        assert epochs == sorted(epochs)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (None, "r1: snapshot is missing; expected what Snapshot.to_json gives"),
        ([1], "r1: snapshot is [1]; expected what Snapshot.to_json gives"),
        (
            {"kind": "ghost"},
            "r1: snapshot.kind is 'ghost'; expected one of workspace, revision, experiment, run",
        ),
        ({"params": None}, "r1: snapshot.params is missing; expected a mapping"),
        (
            {"metrics": {"a": "high"}},
            "r1: snapshot.metrics is {'a': 'high'}; expected a mapping to numbers",
        ),
        (
            {"metrics": {"a": True}},
            "r1: snapshot.metrics is {'a': True}; expected a mapping to numbers",
        ),
        ({"gates": {"a": {}}}, "r1: snapshot.gates is {'a': {}}; expected a mapping to gates"),
        ({"code": {"a": 1}}, "r1: snapshot.code is {'a': 1}; expected a mapping to digests"),
        (
            {"curves": {"c": {"a": [1], "b": []}}},
            "r1: snapshot.curves is {'c': {'a': [1], 'b': []}}; "
            "expected a mapping to columns of numbers",
        ),
        ({"notes": [1]}, "r1: snapshot.notes is [1]; expected a list of lines"),
        ({"commit": 7}, "r1: snapshot.commit is 7; expected a commit or null"),
    ],
)
def test_what_is_no_snapshot_is_told_in_a_line(change: Any, line: str) -> None:
    value = {**WHOLE.to_json(), **change} if isinstance(change, dict) else change
    with pytest.raises(UserError) as caught:
        Snapshot.from_json("r1", value)
    assert caught.value.lines == (line,)
