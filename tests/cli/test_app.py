"""The command line: help, exit codes, one JSON document."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from geocore.runs.atomic import write_json, write_text

ROOT = Path(__file__).parents[2]
COMMANDS = (
    "run", "check", "why", "estimate", "tune", "compare", "papers", "new-study", "doctor", "store",
    "runs", "card", "use",
)  # fmt: skip
CODE = "import sys; sys.path.insert(0, sys.argv.pop(1)); from geocore.cli.app import main; main()"


def geocore(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CODE, str(ROOT), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_tells_what_and_gives_an_example(command: str) -> None:
    done = geocore(command, "--help")
    assert done.returncode == 0
    assert "Example: geocore" in done.stdout


def test_the_shell_can_be_taught() -> None:
    """In a terminal it finds the shell itself; here the script is asked for by name."""
    assert "--install-completion" in geocore("--help").stdout
    environment = {**os.environ, "_GEOCORE_COMPLETE": "source_bash"}
    code = CODE.replace("sys.path", "sys.argv[0] = 'geocore'; sys.path", 1)
    command = [sys.executable, "-c", code, str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0
    assert "complete" in done.stdout
    assert "_GEOCORE_COMPLETE=complete_bash" in done.stdout


def test_outside_the_repository_one_line(tmp_path: Path) -> None:
    done = geocore("check", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: no dvc.yaml here or above {tmp_path}: run geocore inside the repository\n"
    )


def test_unknown_names_are_told_with_what_there_is() -> None:
    done = geocore("run", "trian")
    assert done.returncode == 2
    assert done.stderr.startswith("error: 'trian' is no stage and no flow; expected one of fetch,")
    done = geocore("run", "train", "--preset", "huge")
    assert done.returncode == 2
    assert done.stderr == "error: preset 'huge' is unknown; expected one of smoke, default, paper\n"
    done = geocore("why", "nothing")
    assert done.returncode == 2
    assert done.stderr.startswith("error: stage 'nothing' is unknown; expected one of fetch")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "dvc.yaml").write_text("stages: {train: {cmd: python -m flows.train}}\n")
    (tmp_path / "flows").mkdir()
    write_json(
        tmp_path / ".geocore" / "ledger" / "r1.json",
        {"run": "r1", "stage": "ntk", "state": "done", "started": "1", "key": "a" * 32},
    )
    return tmp_path


def test_runs_of_an_unknown_stage_name_the_known(project: Path) -> None:
    done = geocore("runs", "--stage", "nope", cwd=project)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: stage 'nope' is unknown; expected one of train, ntk\n"
    for stage, count in (("train", 0), ("ntk", 1)):  # that none has run yet is no mistake
        done = geocore("runs", "--stage", stage, "--json", cwd=project)
        assert (done.returncode, len(json.loads(done.stdout))) == (0, count)


def test_gc_reports_what_went(project: Path) -> None:
    home = project / ".geocore"
    for key in ("a" * 32, "b" * 32):
        write_text(home / "work" / key / "out" / "part", "12345")
    write_text(home / "locks" / f"train-{'b' * 32}.lock", "")
    done = geocore("store", "gc", "--json", cwd=project)
    assert json.loads(done.stdout) == {
        "pieces": 0,
        "piece_bytes": 0,
        "work": 1,
        "work_bytes": 5,
        "locks": 1,
    }
    assert [path.name for path in (home / "work").iterdir()] == ["a" * 32]


def test_gc_refuses_while_an_entry_is_damaged(project: Path) -> None:
    home = project / ".geocore"
    broken = home / "ledger" / "r2.json"
    broken.write_text('{"run"')
    write_text(home / "work" / ("b" * 32) / "part", "5")
    done = geocore("store", "gc", cwd=project)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: {broken}: damaged, so what this run needs is unknown and nothing is removed; "
        "repair or delete it first\n"
    )
    assert (home / "work" / ("b" * 32) / "part").exists()
    broken.unlink()
    assert geocore("store", "gc", cwd=project).returncode == 0
    assert not (home / "work" / ("b" * 32)).exists()


def test_json_is_one_document_on_standard_output(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / "flows").mkdir()
    for command in (["store", "list"], ["store", "check"], ["store", "gc"], ["runs"]):
        done = geocore(*command, "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        json.loads(done.stdout)
    assert json.loads(geocore("check", "--json").stdout) == {"faults": []}
