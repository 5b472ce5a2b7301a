"""``geocore papers`` and ``geocore new-study``: one line a study, exit codes, one JSON document."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from geocore.cli.studies import _details
from geocore.pipeline.studies.state import Figure, Study
from geocore.runs.atomic import write_json

ROOT = Path(__file__).parents[2]


def geocore(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); from geocore.cli.app import main; main()"
    )
    command = [sys.executable, "-c", code, str(ROOT), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "flows").symlink_to(ROOT / "flows")
    return tmp_path


@pytest.mark.parametrize("command", ["papers", "new-study"])
def test_help_tells_what_and_gives_an_example(command: str) -> None:
    done = geocore(ROOT, command, "--help")
    assert done.returncode == 0
    assert f"Example: geocore {command}" in done.stdout


def test_nothing_is_built_until_somebody_builds_it(copy: Path) -> None:
    done = geocore(copy, "papers")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].split()[:4] == ["heal_swin", "2307.07313", "not", "built"]
    assert sum(" not built " in line for line in lines) == 15
    assert lines[-1] == "Of the 15: 15 not built."


def test_a_new_study_is_told_and_a_broken_one_is_a_fault(copy: Path) -> None:
    done = geocore(copy, "new-study", "mine", "--title", "Mine", "--json")
    assert json.loads(done.stdout)["files"][0] == "studies/mine/dvc.yaml"
    assert "run it:  dvc repro studies/posterior/dvc.yaml" in (
        geocore(copy, "new-study", "posterior").stdout
    )
    done = geocore(copy, "papers", "--json")
    told: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == 0
    assert told["counts"] == {"not built": 14, "begun": 1}
    assert [(own["name"], own["state"]) for own in told["own"]] == [("mine", "not run")]
    (copy / "studies/mine/README.md").unlink()
    done = geocore(copy, "papers")
    assert (done.returncode, done.stderr) == (1, "")
    assert "    studies/mine/README.md: no such file; expected the study's page" in done.stdout
    assert "    studies/posterior/README.md names no headline figure yet" in done.stdout


def test_escape_sequences_of_a_page_do_not_reach_the_terminal(copy: Path) -> None:
    geocore(copy, "new-study", "mine")
    page = copy / "studies/mine/README.md"
    page.write_text("---\nheadline: null\n---\n# Mine \x1b]0;pwn\x07 \u202e\n")
    done = geocore(copy, "papers")
    assert (done.returncode, done.stderr) == (0, "")
    assert r"Mine \x1b]0;pwn\x07 \u202e" in done.stdout
    (copy / "studies/mine/dvc.yaml").write_text("stages: 3\n")
    done = geocore(copy, "papers")
    assert done.returncode == 1
    assert "    studies/mine: dvc.yaml: stages is 3; expected a mapping of keys" in done.stdout
    assert sum(" not built " in line for line in done.stdout.splitlines()) == 15


def test_nor_do_those_of_what_a_run_failed_with(copy: Path) -> None:
    entry = {"run": "1", "stage": "train", "state": "failed", "started": "1", "error": "a\x1b[2Jb"}
    write_json(copy / ".geocore/ledger/1.json", entry)
    done = geocore(copy, "runs")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1] == r"    a\x1b[2Jb"


def test_a_mistake_is_one_line(copy: Path) -> None:
    for name, line in (
        ("Mine", "error: study 'Mine': expected a name of at most 64 lower-case letters"),
        ("taken", "error: studies/taken: is there already; expected a new name"),
    ):
        (copy / "studies/taken").mkdir(parents=True, exist_ok=True)
        done = geocore(copy, "new-study", name)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(line)
        assert len(done.stderr.splitlines()) == 1


def study(**about: Any) -> Study:
    figure = Figure("mean IoU", 0.71234, "results/m.json", "iou", 0.76, "Table 2")
    return Study("mine", "Mine", None, "measured", **{"figure": figure, **about})


def test_a_figure_stands_beside_the_published_one_with_its_code() -> None:
    begin = "mean IoU: 0.7123; published: 0.76 (Table 2); measured "
    for about, end in (
        ({"commit": "abc"}, "by code abc"),
        ({"commit": "abc+"}, "by code abc with changes"),
        ({"recorded": "abc"}, "elsewhere, recorded in commit abc"),
        ({}, "by code that neither the ledger nor git knows"),
    ):
        assert _details(study(**about)) == [begin + end]
    bare = Figure("nll", 0.5, "results/m.json", "nll", None, None)
    assert _details(study(figure=bare, commit="abc")) == ["nll: 0.5; measured by code abc"]


def test_causes_of_staleness_are_told_but_not_endlessly() -> None:
    told = _details(study(commit="abc", because=tuple(f"file{n} modified" for n in range(9))))
    assert told[1] == "changed since: file0 modified"
    assert told[-1] == "and 5 more (geocore papers --json)"
    assert len(told) == 6


def test_code_that_decides_nothing_is_counted() -> None:
    told = _details(study(commit="abc", plumbing=("flows/stage.py",)))
    assert told[1:] == ["since then 1 file changed that decide no result: flows/stage.py"]
    told = _details(study(commit="abc", plumbing=("flows/stage.py", "geocore/runs")))
    assert told[1:] == ["since then 2 files changed that decide no result: flows/stage.py, ..."]
    told = _details(study(commit="abc", because=("a modified (train)",), plumbing=("b",)))
    assert told[1:] == ["changed since: a modified (train)"]
