"""What the shell offers: names of this project, fast, and nothing where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from geocore.cli import completing
from geocore.config.presets import read_presets
from geocore.pipeline.dvcfile import read_dvc
from geocore.pipeline.inputs import study_files
from tests.report.scene import Project

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    project = Project(tmp_path)
    project.write(
        "dvc.yaml", "# c\nstages:\n    fetch:\n        cmd: x\n    train:\n        cmd: y\n"
    )
    project.write("presets.yaml", "smoke: {train: {lr: 1}}\nfull:\n  train: {lr: 2}\n")
    project.write("studies/a/b/dvc.yaml", "stages: {}\n")
    project.write("studies/.hidden/dvc.yaml", "stages: {}\n")
    project.write("flows/sweep.py", "")
    project.write("flows/server.py", "")
    commit = project.commit("first")
    project.git("branch", "other")
    project.experiment("brave-newt", commit)
    for run in ("20261128T1-train-a", "20261127T1-ntk-b", "with space"):
        project.entry(run)
    monkeypatch.chdir(tmp_path)
    return project


def test_names_of_each_kind(project: Project) -> None:
    assert completing.complete_stage("") == ["fetch", "train"]
    assert completing.complete_flow("") == ["fetch", "train", "sweep"]
    assert completing.complete_preset("") == ["smoke", "full"]
    assert completing.complete_study("") == ["a/b"]
    assert completing.complete_run("") == ["20261128T1-train-a", "20261127T1-ntk-b"]
    for name in ("workspace", "HEAD", "main", "other", "brave-newt", "20261128T1-train-a"):
        assert name in completing.complete_name("")
        assert name in completing.complete_name(name[:3])
    assert completing.complete_name("studies/") == [
        f"studies/{name}" for name in completing.complete_study("")
    ]
    assert completing.complete_stage("t") == ["train"]
    project.git("branch", "x;$(reboot)")
    assert completing.complete_name("x") == [], "the shell would run it"
    assert completing.complete_run("2026112") == ["20261128T1-train-a", "20261127T1-ntk-b"]


def test_outside_a_project_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in completing.__all__:
        if name.startswith("complete_"):
            assert getattr(completing, name)("") == []


def test_what_is_offered_is_what_the_readers_know(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of this repository: the quick look at its files against their readers."""
    monkeypatch.chdir(ROOT)
    assert completing.complete_stage("") == list(read_dvc(ROOT))
    assert completing.complete_preset("") == list(read_presets(ROOT))
    below = [file.parent.relative_to(ROOT / "studies").as_posix() for file in study_files(ROOT)]
    assert completing.complete_study("") == sorted(below)


def complete(project: Project, words: str) -> str:
    """What bash would be told behind ``words``."""
    asked = {
        "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1),
        "_GEOCORE_COMPLETE": "complete_bash",
    }  # fmt: skip
    code = (
        "import sys; sys.argv[0] = 'geocore'; sys.path.insert(0, %r); "
        "from geocore.cli.app import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code % str(ROOT)], cwd=project.root, text=True,
        capture_output=True, env={**os.environ, **asked},
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout


def test_through_the_shells_own_question(project: Project) -> None:
    for words, expected in {
        "geocore ru": ["run", "runs"],
        "geocore run ": ["fetch", "train", "sweep"],
        "geocore run train --preset s": ["smoke"],
        "geocore why --study ": ["a/b"],
        "geocore runs --stage t": ["train"],
        "geocore runs show 20261127": ["20261127T1-ntk-b"],
        "geocore run --study=a": ["a/b"],
    }.items():
        assert complete(project, words).split() == expected, words


def test_it_is_fast_and_imports_nothing_heavy(project: Project) -> None:
    heavy = ("torch", "numpy", "pyarrow", "pydantic", "yaml", "jinja2", "dvc", "rich.progress")
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from geocore.cli import app, completing\n"
        "for name in completing.__all__:\n"
        "    name.startswith('complete_') and getattr(completing, name)('')\n"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project.root, capture_output=True, text=True
    )
    spent = time.perf_counter() - begun
    assert (done.stdout, done.stderr) == ("[]\n", "")
    assert spent < 5, "far above what it takes on a busy machine"
