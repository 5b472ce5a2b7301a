"""Exactly what differs: of two revisions, and of snapshots that do not know everything."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from geocore.report.comparison import SECTIONS, Comparison, Missing, compare
from geocore.report.reading import read_snapshot
from geocore.report.snapshot import Snapshot
from geocore.runs.canonical import canonical_json
from tests.report.scene import CURVE, GATES, METRICS, PARAMS, Project

PASSED = {"value": 0.9, "bound": 0.8, "sense": "min", "passed": True}
NOTHING: dict[str, list[str]] = {name: [] for name in SECTIONS}
FAILED = {"value": 0.7, "bound": 0.8, "sense": "min", "passed": False}


def names(found: Comparison) -> dict[str, list[str]]:
    return {name: [row.name for row in found.section(name)] for name in SECTIONS}


def one_param(project: Project) -> None:
    project.write_params({**PARAMS, "train": {**PARAMS["train"], "lr": 0.004}})


def one_metric(project: Project) -> None:
    project.write_metrics({"test": {**METRICS["test"], "nll": 0.1}})


def one_gate(project: Project) -> None:
    project.write_gates({"accuracy_min": {**GATES["accuracy_min"], "bound": 0.99, "passed": False}})


def one_file_of_code(project: Project) -> None:
    project.write("geocore/train/loop.py", "RATE = 2\n")


def one_table(project: Project) -> None:
    project.data = {"data/raw": "another table"}


def one_curve(project: Project) -> None:
    project.owned = {**project.owned, "results/train/curve.csv": CURVE.encode() + b"3,0.1,1\n"}


def nothing_that_counts(project: Project) -> None:
    project.write("geocore/cli/app.py", "UNUSED = 2\n")
    project.write("README.md", "words")


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        (one_param, {"params": ["train.lr"]}),
        (one_metric, {"metrics": ["evaluate.test.nll"]}),
        (one_gate, {"gates": ["evaluate.accuracy_min"]}),
        (one_file_of_code, {"code": ["geocore/train/loop.py"]}),
        (one_table, {"data": ["data/raw"]}),
        (one_curve, {"data": ["results/train/curve.csv"]}),
        (nothing_that_counts, {}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_two_revisions_differ_in_one_thing(
    tmp_path: Path, change: Callable[[Project], None], rows: dict[str, list[str]]
) -> None:
    project = Project(tmp_path)
    first = project.commit()
    change(project)
    second = project.commit()
    pair = [read_snapshot(tmp_path, commit) for commit in (first, second)]
    assert [snapshot.notes for snapshot in pair] == [(), ()]
    assert names(compare(pair)) == {**NOTHING, **rows}


def of(name: str = "x", **sections: Any) -> Snapshot:
    return Snapshot(name, "revision", **sections)


def test_deltas_are_against_the_first() -> None:
    found = compare(
        [
            of("a", metrics={"t.accuracy": 0.5, "t.nll": 1.0, "t.epochs": 3}),
            of("b", metrics={"t.accuracy": 0.75, "t.nll": 2.0, "t.epochs": 4}),
            of("c", metrics={"t.accuracy": 0.25, "t.nll": 1.0}),
        ]
    )
    rows = {row.name: row for row in found.metrics}
    assert rows["t.accuracy"].deltas == (0.0, 0.25, -0.25)
    assert rows["t.accuracy"].verdicts == ("", "better", "worse")
    assert rows["t.nll"].verdicts == ("", "worse", "")
    assert list(rows["t.epochs"].values) == [3, 4, Missing.ABSENT]
    assert list(rows["t.epochs"].deltas) == [0, 1, None]
    assert list(rows["t.epochs"].verdicts) == ["", "", ""]
    assert found.names == ("a", "b", "c")


def test_a_metric_that_is_null_or_nan() -> None:
    null = of(metrics={"a.nll": None, "b.nll": math.nan})
    same = compare([null, of(metrics={"a.nll": None, "b.nll": math.nan})])
    assert same.metrics == ()
    row = compare([null, of(metrics={"a.nll": 0.5, "b.nll": math.nan})]).metrics[0]
    assert (row.values, row.deltas, row.verdicts) == ((None, 0.5), (None, None), ("", ""))


@pytest.mark.parametrize(
    ("first", "second", "differs"),
    [
        (1, 1.0, False),
        (1, True, True),
        (None, Missing.ABSENT, True),
        ("1", 1, True),
        ([1, 2], [1, 2], False),
        ([1, True], [1, 1], True),
        ([1], [1, 2], True),
    ],
)
def test_equal_is_of_one_kind(first: Any, second: Any, differs: bool) -> None:
    pair = [of(params={} if v is Missing.ABSENT else {"p": v}) for v in (first, second)]
    assert bool(compare(pair).params) is differs


def test_a_gate_that_fails_is_listed_though_it_differs_in_nothing() -> None:
    gates = {"e.held": PASSED, "e.broken": FAILED}
    found = compare([of(gates=gates), of(gates=gates)])
    assert [row.name for row in found.gates] == ["e.broken"]
    assert not found.gates[0].differs
    assert found.same["gates"] == 2


def test_everything_shows_what_is_equal() -> None:
    pair = [of(params={"a": 1, "b": 2}), of(params={"a": 1, "b": 3})]
    found = compare(pair, everything=True)
    assert [(row.name, row.differs) for row in found.params] == [("a", False), ("b", True)]
    assert found.same["params"] == compare(pair).same["params"] == 1


def test_a_run_of_one_stage_says_nothing_of_others() -> None:
    scopes = {"params": "train", "code": "train"}
    run = of("run", params={"train.lr": 1}, code={"m": "1"}, scopes=scopes)
    whole = of("main", params={"train.lr": 2, "data.seed": 0}, code={"m": "1", "n": "2"})
    found = compare([run, whole])
    assert names(found)["params"] == ["train.lr"]
    assert names(found)["code"] == []
    assert found.same["params"] == 0, "data.seed is known to one alone"
    values = compare([run, whole], everything=True).params[0].values
    assert values == (Missing.UNKNOWN, 0)
    other = of("run2", params={"train.lr": 1, "train.clip": 3}, scopes=scopes)
    row = compare([run, other]).params[0]
    assert (row.name, row.values) == ("train.clip", (Missing.ABSENT, 3))


def test_what_only_the_run_has_is_absent_elsewhere() -> None:
    run = of("run", params={"train.old": 1}, scopes={"params": "train"})
    assert compare([run, of()]).params[0].values == (1, Missing.ABSENT)


def test_digests_of_two_kinds_are_not_compared() -> None:
    first = of(code={"a": "1", "b": "2"}, data={"d": "3"})
    second = of(code={"m": "4"}, code_kind="statements", data={"d": "3"})
    found = compare([first, second])
    assert names(found) == {**NOTHING, "code": ["digests of code"]}
    assert found.code[0].values == ("files", Missing.INCOMPARABLE)


def test_fewer_than_two() -> None:
    with pytest.raises(ValueError, match="snapshots are 1; expected two or more"):
        compare([of()])


def test_json_says_why_a_value_is_missing() -> None:
    found = compare(
        [
            of("a", params={"p": None}, metrics={"m.nll": 1.0}, gates={"g": FAILED}),
            of("b", metrics={"m.nll": 0.5}, gates={"g": FAILED}),
        ]
    )
    value = json.loads(canonical_json(found.to_json()))
    assert value["names"] == ["a", "b"]
    assert value["params"] == [
        {"name": "p", "differs": True, "values": [None, {"missing": "absent"}]}
    ]
    assert value["metrics"][0] == {
        "name": "m.nll",
        "differs": True,
        "values": [1.0, 0.5],
        "deltas": [0.0, -0.5],
        "verdicts": ["", "better"],
    }
    assert value["gates"][0]["values"] == [FAILED, FAILED]
    assert value["same"] == {"params": 0, "metrics": 0, "gates": 1, "code": 0, "data": 0}
