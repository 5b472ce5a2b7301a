"""``geocore runs``: a list, one run, a table, SQL, files; one line for a mistake."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from geocore.runs.atomic import write_json

ROOT = Path(__file__).parents[2]
CODE = "import sys; sys.path.insert(0, sys.argv.pop(1)); from geocore.cli.app import main; main()"
MARKUP = "[red]x[/red] \x1b[2J"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with three runs of two stages."""
    root = tmp_path_factory.mktemp("runs")
    (root / "dvc.yaml").write_text("stages: {train: {cmd: python -m flows.train}}\n")
    (root / "flows").mkdir()
    for number, stage in enumerate(("ntk", "train", "train")):
        about = {
            "run": f"r{number}", "stage": stage, "state": "done", "wall_seconds": number + 0.5,
            "started": f"2026-11-28T1{number}:00:00+00:00", "params": {"train.lr": number / 10},
            **({"error": MARKUP, "state": "failed"} if number == 2 else {}),
        }  # fmt: skip
        write_json(root / f".geocore/ledger/r{number}.json", about)
    return root


def geocore(root: Path, *arguments: str, code: str = CODE) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, str(ROOT), "runs", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True)


def rows(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert (done.returncode, done.stderr) == (0, "")
    return [" ".join(line.split()) for line in done.stdout.splitlines() if line.strip()]


def test_the_list(root: Path) -> None:
    told = rows(geocore(root))
    assert told == ["r2 failed 2.5 s", "[red]x[/red] \\x1b[2J", "r1 done 1.5 s", "r0 done 0.5 s"]
    assert rows(geocore(root, "--last", "1"))[0] == "r2 failed 2.5 s"
    assert rows(geocore(root, "--stage", "ntk")) == ["r0 done 0.5 s"]
    assert [e["run"] for e in json.loads(geocore(root, "--json").stdout)] == ["r2", "r1", "r0"]


def test_one_run(root: Path) -> None:
    assert json.loads(geocore(root, "show", "r1", "--json").stdout)["run"] == "r1"
    done = geocore(root, "show", "x")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: no run 'x' in ")


def test_sql_as_a_table_as_json_as_csv(root: Path) -> None:
    asked = 'select stage, wall_seconds, "params.train.lr" lr, error from runs order by started'
    told = rows(geocore(root, "--sql", asked))
    assert told[0] == "stage wall_seconds lr error"
    assert told[2:] == [
        "ntk 0.5 0",
        "train 1.5 0.1",
        "train 2.5 0.2 [red]x[/red] \\x1b[2J",
        "3 rows",
    ]
    value = json.loads(geocore(root, "--sql", asked, "--json").stdout)
    assert value[2] == {"stage": "train", "wall_seconds": 2.5, "lr": 0.2, "error": MARKUP}
    done = geocore(
        root,
        "--sql",
        "select stage, list(run order by run) r from runs group by 1 order by 1",
        "--csv",
        "-",
    )
    assert list(csv.reader(io.StringIO(done.stdout))) == [
        ["stage", "r"], ["ntk", '["r0"]'], ["train", '["r1", "r2"]'],
    ]  # fmt: skip
    asked = "select started, 'nan'::double n from runs where run = 'r0'"
    value = json.loads(geocore(root, "--sql", asked, "--json").stdout)
    assert value == [{"started": "2026-11-28T10:00:00", "n": None}]


def test_what_files_do_not_hold_is_text_or_a_line(root: Path, tmp_path: Path) -> None:
    asked = "select interval 90 minute t, {'a': t} n, sum(1) s from runs group by run limit 1"
    assert (
        geocore(root, "--sql", asked, "--csv", "-").stdout.splitlines()[1].startswith('"01:30:00",')
    )
    value = json.loads(geocore(root, "--sql", asked, "--json").stdout)
    assert (value[0]["t"], value[0]["s"]) == ("01:30:00", 1)
    file = tmp_path / "x.parquet"
    assert geocore(root, "--sql", asked, "--parquet", str(file)).returncode == 0
    assert pq.read_table(file).column("t").to_pylist() == ["01:30:00"]
    bytes_of = "select '\\xff'::blob b"
    done = geocore(root, "--sql", bytes_of, "--csv", "-")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("error: --csv: ")


def test_files(root: Path, tmp_path: Path) -> None:
    table, sheet = tmp_path / "deep/runs.parquet", tmp_path / "runs.csv"
    done = geocore(root, "--parquet", str(table), "--csv", str(sheet))
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines()[0].startswith(f"wrote {sheet}, 3 rows, ")
    with sheet.open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [row["run"] for row in read] == ["r2", "r1", "r0"]
    assert read[0]["params.train.lr"] == "0.2"
    assert pq.read_table(table).column("run").to_pylist() == ["r2", "r1", "r0"]
    geocore(root, "--sql", "select 1 as one", "--parquet", str(table))
    assert pq.read_table(table).to_pylist() == [{"one": 1}]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "runs.csv"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--sql", "selec"], "--sql: Parser Error: syntax error at or near \"selec\""),
        (["--sql", "drop view runs"], "--sql 'drop view runs': expected one select from runs"),
        (["--stage", "nope"], "stage 'nope' is unknown; expected one of train, ntk"),
        (["--stage", "nope", "--sql", "select 1"], "stage 'nope' is unknown"),
        (["--csv", "."], "--csv .: a folder; expected a file"),
        (["--parquet", "."], "--parquet .: a folder; expected a file"),
        (["--csv", "dvc.yaml/x"], "--csv dvc.yaml/x: not a directory; expected a file"),
        (["--parquet", "/dev/stdout"], "--parquet /dev/stdout: standard output; expected a file"),
        (["--csv", "-", "--json"], "--csv -: standard output, where --json writes"),
    ],
)  # fmt: skip
def test_a_mistake_is_a_line(root: Path, arguments: list[str], line: str) -> None:
    done = geocore(root, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {line}")
    assert done.stderr.count("\n") == 1


def test_without_duckdb_the_remedy(root: Path) -> None:
    code = "import sys; sys.modules['duckdb'] = None; " + CODE.removeprefix("import sys; ")
    done = geocore(root, "--sql", "select 1", code=code)
    assert done.returncode == 2
    assert done.stderr == (
        "error: duckdb is not installed, and --sql needs it: pip install 'geocore[report]'\n"
    )
