"""The ledger as a table: a row a run, typed columns, the numbers of pieces that are whole."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from geocore.errors import UserError
from geocore.report.ledger_query import query
from geocore.report.ledger_table import ledger_frame, ledger_table
from geocore.runs.atomic import write_json
from geocore.runs.digest import digest_file

KEY = "a" * 32
METRICS = {"test": {"accuracy": 0.9, "n": 3, "ece": None}, "name": "text"}


def entry(root: Path, run: str, stage: str = "train", **more: Any) -> None:
    about = {"run": run, "stage": stage, "state": "done", "started": "2026-11-28T10:00:00+00:00"}
    path = root / f".geocore/ledger/{run}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**about, **more}))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three runs: a training, an evaluation whose piece is there, a run of the whole pipeline."""
    piece = tmp_path / ".geocore/store/pieces" / KEY[:2] / KEY
    write_json(piece / "metrics.json", METRICS)
    outs = {"studies/s/results/evaluate/metrics.json": digest_file(piece / "metrics.json")}
    entry(
        tmp_path, "r1", started="2026-11-28T09:30:00.5-00:30", wall_seconds=2,
        params={"train.lr": 0.1, "train.epochs": 3, "train.note": [1, "a"], "train.on": True},
        code={"commit": "c" * 40, "dirty": True, "closure": {"a": "b"}}, threads=1,
        environment={"host": "box", "python": "3.11", "libraries": {"torch": "2"}},
        pieces={KEY: "made", "b" * 32: "found", "c" * 32: "found"}, steps_per_second=21.5,
    )  # fmt: skip
    entry(
        tmp_path, "r2", "evaluate", key=KEY, outs=outs, study="studies/s", wall_seconds=0.5,
        params={"train.lr": 1, "train.epochs": None, "train.note": "\ud800", "train.on": "maybe"},
    )  # fmt: skip
    snapshot = {"params": {"train.lr": 0.2}, "metrics": {"evaluate.test.accuracy": 0.8}}
    entry(tmp_path, "r3", "repro", snapshot=snapshot, error="it [red]failed[/red]", threads="many")
    return tmp_path


def test_what_a_row_says(root: Path) -> None:
    rows = {row["run"]: row for row in ledger_table(root).to_pylist()}
    assert [row["run"] for row in ledger_table(root).to_pylist()] == ["r3", "r2", "r1"]
    first = rows["r1"]
    assert first["started"] == datetime(2026, 11, 28, 10, 0, 0, 500000), "in UTC"
    expected = {
        "stage": "train", "wall_seconds": 2.0, "threads": 1, "host": "box", "torch": "2",
        "commit": "c" * 40, "dirty": True, "pieces_made": 1, "pieces_found": 2,
        "steps_per_second": 21.5, "params.train.lr": 0.1, "params.train.epochs": 3,
        "params.train.note": '[1, "a"]', "params.train.on": "true",
        "metrics.evaluate.test.accuracy": None, "study": None,
    }  # fmt: skip
    assert {name: first[name] for name in expected} == expected
    second = rows["r2"]
    assert second["metrics.evaluate.test.accuracy"] == 0.9
    assert second["metrics.evaluate.test.n"] == 3
    assert second["params.train.lr"] == 1.0, "a real number, as the others are"
    assert second["params.train.note"] == "\\ud800"
    third = rows["r3"]
    assert third["params.train.lr"] == 0.2
    assert third["metrics.evaluate.test.accuracy"] == 0.8
    assert third["error"] == "it [red]failed[/red]"
    assert third["threads"] is None, "text is no number of threads"
    assert not {"pid", "code", "outs", "snapshot", "environment"} & set(first)


def test_types_are_those_of_the_values(root: Path) -> None:
    schema = ledger_table(root).schema
    for name, kind in {
        "started": pa.timestamp("us"), "wall_seconds": pa.float64(), "dirty": pa.bool_(),
        "threads": pa.int64(), "pieces_made": pa.int64(), "params.train.lr": pa.float64(),
        "params.train.epochs": pa.int64(), "params.train.on": pa.string(),
        "metrics.evaluate.test.ece": pa.float64(), "cpu_seconds": pa.float64(), "key": pa.string(),
    }.items():  # fmt: skip
        assert schema.field(name).type == kind, name


def test_of_one_stage_and_the_last(root: Path) -> None:
    assert ledger_table(root, "train").column("run").to_pylist() == ["r1"]
    assert ledger_table(root, None, 2).column("run").to_pylist() == ["r3", "r2"]
    assert ledger_table(root, "nothing").num_rows == 0
    assert query(
        ledger_table(root, "nothing"), "select sum(wall_seconds) s from runs"
    ).to_pylist() == [{"s": None}]


@pytest.mark.parametrize("damage", ["flipped", "gone", "no key", "no json"])
def test_numbers_of_a_piece_that_is_not_whole_are_not_believed(root: Path, damage: str) -> None:
    file = root / ".geocore/store/pieces" / KEY[:2] / KEY / "metrics.json"
    if damage == "flipped":
        file.write_bytes(file.read_bytes().replace(b"0.9", b"0.8"))
    elif damage == "gone":
        file.unlink()
    else:
        path = root / ".geocore/ledger/r2.json"
        about = json.loads(path.read_bytes())
        if damage == "no key":
            about["key"] = "../../../x"
        else:
            file.write_text("[")
            about["outs"] = dict.fromkeys(about["outs"], digest_file(file))
        path.write_text(json.dumps(about))
    rows = {row["run"]: row for row in ledger_table(root).to_pylist()}
    assert rows["r2"]["metrics.evaluate.test.accuracy"] is None
    assert rows["r3"]["metrics.evaluate.test.accuracy"] == 0.8


def test_as_a_frame_of_pandas(root: Path) -> None:
    frame = ledger_frame(root)
    assert list(frame["run"]) == ["r3", "r2", "r1"]
    assert frame.set_index("run").loc["r1", "params.train.lr"] == 0.1
    assert frame["started"].dtype.kind == "M"
    assert frame.groupby("stage")["wall_seconds"].sum()["train"] == 2.0


def test_without_pandas_a_line(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match=r"pandas is not installed, .* pip install 'geocore"):
        ledger_frame(root)
    assert ledger_table(root).num_rows == 3


def test_sql(root: Path) -> None:
    table = ledger_table(root)
    asked = 'select stage, "params.train.lr" lr from runs where wall_seconds > 0.4 order by lr'
    rows = [{"stage": "train", "lr": 0.1}, {"stage": "evaluate", "lr": 1.0}]
    assert query(table, asked).to_pylist() == rows
    assert query(table, f"with a as ({asked}) select count(*) n from a;").to_pylist() == [{"n": 2}]
    assert query(table, "describe runs").num_rows == table.num_columns


@pytest.mark.parametrize(
    ("sql", "line"),
    [
        ("selec", "--sql: Parser Error: syntax error at or near"),
        ("", "--sql '': expected one select from runs"),
        ("select stag from runs", '--sql: Binder Error: .*Candidate bindings: "stage"'),
        ("select params.train.lr from runs", 'a name with dots stands in double quotes'),
        ("select 1; select 2", "expected one select from runs"),
        ("create table x as select 1", "expected one select"),
        ("drop view runs", "expected one select"),
        ("set enable_external_access = true", "expected one select"),
        ("reset lock_configuration", "expected one select"),
        ("attach 'FILE'", "expected one select"),
        ("install httpfs", "expected one select"),
        ("copy runs to 'FILE'", "expected one select"),
        ("copy (select 1) to 'FILE'", "expected one select"),
        ("export database 'FILE'", "expected one select"),
        ("select * from read_text('FILE')", "file system operations are disabled"),
        ("select * from read_csv('FILE')", "file system operations are disabled"),
        ("select * from 'FILE'", "file system operations are disabled"),
        ("select * from glob('/*')", "file system operations are disabled"),
        ("select * from table_", "does not exist"),
        ("select * from statements", "does not exist"),
        ("select cast(stage as int) from runs", "Conversion Error"),
    ],
)  # fmt: skip
def test_a_mistake_in_sql_and_what_reaches_out_is_a_line(root: Path, sql: str, line: str) -> None:
    file = root / "file.csv"
    file.write_text("secret\n1\n")
    with pytest.raises(UserError, match=line) as caught:
        query(ledger_table(root), sql.replace("FILE", str(file)))
    assert len(caught.value.lines) == 1
    assert "\n" not in caught.value.lines[0]
    assert sorted(p.name for p in root.iterdir()) == [".geocore", "file.csv"]


def test_without_duckdb_a_line(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(
        UserError, match=r"duckdb is not installed, .* pip install 'geocore\[report\]'"
    ):
        query(ledger_table(root), "select 1")
