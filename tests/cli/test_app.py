"""The command line: help, exit codes, one JSON document."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = ("run", "check", "why", "doctor", "store", "runs")


def geocore(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); from geocore.cli.app import main; main()"
    )
    command = [sys.executable, "-c", code, str(ROOT), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_tells_what_and_gives_an_example(command: str) -> None:
    done = geocore(command, "--help")
    assert done.returncode == 0
    if command == "store":
        done = geocore("store", "gc", "--help")
    assert "Example: geocore" in done.stdout


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


def test_json_is_one_document_on_standard_output(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / "flows").mkdir()
    for command in (["store", "list"], ["store", "check"], ["store", "gc"], ["runs"]):
        done = geocore(*command, "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        json.loads(done.stdout)
    assert json.loads(geocore("check", "--json").stdout) == {"faults": []}
