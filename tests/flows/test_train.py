"""Stage ``train`` by several processes, as its user starts it: DVC, Prefect, torchrun and all."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from tests.flows.project import Project, copy_project

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def copy(server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy with the maps that the network learns from."""
    made = copy_project(tmp_path_factory.mktemp("together") / "project", server)
    done = made.repro("resample")
    assert done.returncode == 0, done.stdout + done.stderr
    return made


def curve(project: Project) -> list[dict[str, float]]:
    with (project.root / "results/train/curve.csv").open() as stream:
        return [{name: float(v) for name, v in row.items()} for row in csv.DictReader(stream)]


def test_two_processes_are_asked_for_by_a_variable(copy: Project) -> None:
    done = copy.repro("train")
    assert done.returncode == 0, done.stdout + done.stderr
    alone = curve(copy)
    forget(copy.root)
    together = Project(copy.root, {**copy.environment, "GEOCORE_TORCHRUN": "2"})
    done = together.run("dvc", "repro", "-f", "-s", "train")
    assert done.returncode == 0, done.stdout + done.stderr
    for row, found in zip(alone, curve(copy), strict=True):
        assert found == pytest.approx(row, rel=1e-6, abs=1e-9)
    (last, first) = copy.runs("train")[:2]
    assert last["processes"] == 2 and "processes" not in first
    assert last["key"] == first["key"]  # how many there are is no part of what was asked
    again = together.run("flows.train")
    assert again.returncode == 0, again.stderr
    assert copy.runs("train")[0]["pieces"] == {last["key"]: "found"}


def test_a_mistake_is_told_once(copy: Project) -> None:
    together = Project(copy.root, {**copy.environment, "GEOCORE_TORCHRUN": "2"})
    copy.set(train__lr=-1.0)
    try:
        done = together.run("flows.train")
    finally:
        copy.set(train__lr=0.002)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: params.yaml: train.lr is -1.0; expected a number above 0 and at most 10"
    ]


def forget(root: Path) -> None:
    """Remove the training and its record, so that it is made again."""
    for path in (*(root / ".geocore/store").iterdir(), *(root / ".prefect/manifests").iterdir()):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
