"""A study as its user makes it: scaffolded, run, run again, told, and told to be stale."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.flows.project import Project, copy_project

FILE = "studies/tiny/dvc.yaml"


@pytest.fixture(scope="module")
def study(server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy with one study that has run once, and nothing else."""
    made = copy_project(tmp_path_factory.mktemp("study") / "project", server)
    assert made.geocore("new-study", "tiny").returncode == 0
    done = made.repro(FILE)
    assert done.returncode == 0, done.stdout + done.stderr
    return made


def told(project: Project) -> dict[str, Any]:
    """What ``geocore papers`` says of the study."""
    (own,) = json.loads(project.geocore("papers", "--json").stdout)["own"]
    found: dict[str, Any] = own
    return found


def test_a_new_study_holds_and_everything_of_it_lies_in_its_folder(study: Project) -> None:
    assert json.loads(study.geocore("check", "--json").stdout) == {"faults": []}
    for path in ("dvc.lock", "results", "data/raw"):
        assert not (study.root / path).exists()
        assert (study.root / "studies/tiny" / path).exists()
    assert study.runs("train")[0]["study"] == "studies/tiny"


def test_a_second_repro_of_all_studies_does_nothing(study: Project) -> None:
    runs = len(study.runs("train"))
    done = study.repro("-R", "studies")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Data and pipelines are up to date." in done.stdout
    assert len(study.runs("train")) == runs


def test_its_figure_is_told_and_a_change_of_code_makes_it_stale(study: Project) -> None:
    accuracy = study.json("studies/tiny/results/evaluate/metrics.json")["test"]["accuracy"]
    own = told(study)
    assert (own["state"], own["figure"]["value"]) == ("measured", accuracy)
    commit = study.runs("evaluate")[0]["code"]["commit"]
    assert own["commit"] == commit[:10]
    loop = study.root / "geocore/train/loop.py"
    text = loop.read_text()
    try:
        loop.write_text(text + "\n_UNUSED = 1\n")
        own = told(study)
        assert own["state"] == "stale"
        assert "geocore/train modified (train, evaluate)" in own["because"]
        why = study.geocore("why", "train", "--study", "tiny").stdout
        assert re.search(r"code +geocore/train/loop.py +a statement changed", why), why
    finally:
        loop.write_text(text)
    assert "up to date" in study.geocore("why", "train", "--study", "tiny").stdout
    unknown = study.geocore("why", "train", "--study", "huge")
    assert unknown.stderr == "error: study 'huge' is unknown; expected one of tiny\n"


def test_a_fresh_clone_tells_it_and_a_typed_figure_is_refused(
    study: Project, tmp_path: Path
) -> None:
    clone = Project(tmp_path / "clone", study.environment)
    for command in ("add -A", "commit -qm measured", f"clone -q . {clone.root}"):
        subprocess.run(["git", *command.split()], cwd=study.root, env=study.environment, check=True)
    (clone.root / "data/own").mkdir(parents=True)
    assert not (clone.root / "studies/tiny/data/raw").exists()
    own = told(clone)
    assert (own["state"], own["commit"]) == ("measured", None)
    assert len(own["recorded"]) == 10
    metrics = clone.root / "studies/tiny/results/evaluate/metrics.json"
    metrics.write_text(re.sub(r'("accuracy": )[\d.]+', r"\g<1>0.999", metrics.read_text()))
    own = told(clone)
    assert (own["state"], own["figure"]) == ("broken", None)
    assert "is not what stage evaluate wrote" in own["fault"]
