"""Runs that differ in seeds alone, and what their numbers are together."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from geocore.report.reading import read_snapshot
from geocore.report.seeds import SeedGroup, is_seed, mean_and_spread, seed_groups
from geocore.report.snapshot import Snapshot
from tests.report.scene import Project


def run(lr: float, code: str = "a", **seeds: Any) -> Snapshot:
    params = {"train.lr": lr, **{name.replace("__", "."): value for name, value in seeds.items()}}
    return Snapshot("r", "run", params=params, code={"geocore/a.py": code})


def test_a_seed_by_its_name() -> None:
    assert [
        name
        for name in ("train.seed", "ensemble.first_seed", "seeds", "data.seeding", "seed.lr")
        if is_seed(name)
    ] == ["train.seed", "ensemble.first_seed", "seeds"]


def test_equal_but_for_seeds() -> None:
    runs = [
        run(0.1, train__seed=0),
        run(0.2, train__seed=0),
        run(0.1, train__seed=1),
        run(0.1, "b", train__seed=2),
        run(0.1, train__seed=7, data__seed=1),
        run(0.2, train__seed=5),
    ]
    assert seed_groups(runs) == [
        SeedGroup((0, 2, 4), ("null, 0", "null, 1", "1, 7")),
        SeedGroup((1, 5), ("0", "5")),
    ]


def test_the_same_seed_twice_is_no_spread() -> None:
    assert seed_groups([run(0.1, train__seed=0), run(0.1, train__seed=0)]) == []
    again = [run(0.1, train__seed=0), run(0.1, train__seed=0), run(0.1, train__seed=1)]
    assert [group.runs for group in seed_groups(again)] == [(0, 2)]
    assert seed_groups([run(0.1), run(0.1)]) == []


def test_mean_and_standard_deviation() -> None:
    assert mean_and_spread([1.0, 2.0, 4.0]) == pytest.approx((7 / 3, math.sqrt(7 / 3)))


def test_what_is_stale_or_of_other_data_is_no_seed() -> None:
    first, second = run(0.1, train__seed=0), run(0.1, train__seed=1)
    assert len(seed_groups([first, second])) == 1
    assert seed_groups([first, replace(second, stale=True)]) == []
    read, other = {"data/own": "a"}, {"data/own": "b"}
    assert seed_groups([replace(first, sources=read), replace(second, sources=other)]) == []
    of_both = [replace(one, sources=which) for which in (read, other) for one in (first, second)]
    assert [group.runs for group in seed_groups(of_both)] == [(0, 1), (2, 3)]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Its stage reads own data and two parameters, one of them a seed that was 0."""
    project = Project(tmp_path / "project")
    project.write("data/own/points.csv", "1,2\n")
    seeded(project, 0)
    project.commit("seed 0")
    return project


def seeded(project: Project, seed: int) -> None:
    project.write_params({"train": {"lr": 0.002, "seed": seed}})


def with_seed_locked(project: Project, seed: int) -> None:
    lock = project.root / "dvc.lock"
    lock.write_text(lock.read_text().replace("train.lr:", f"train.seed: {seed}\n        train.lr:"))


def groups(project: Project, *names: str) -> list[tuple[int, ...]]:
    found = seed_groups([read_snapshot(project.root, name) for name in names])
    return [group.runs for group in found]


def test_a_seed_that_nothing_ran_with_is_none(project: Project) -> None:
    with_seed_locked(project, 0)
    project.commit("locked", repro=False)
    seeded(project, 1)
    workspace = read_snapshot(project.root, "workspace")
    assert workspace.stale and "older than train.seed" in workspace.notes[0]
    assert groups(project, "HEAD", "workspace") == []
    edited = project.commit("an edit, no run", repro=False)
    assert groups(project, "HEAD~1", edited) == []
    project.repro()
    with_seed_locked(project, 1)
    ran = project.commit("a run", repro=False)
    assert groups(project, "HEAD~2", ran, "workspace") == [(0, 1)]
    noted = read_snapshot(project.root, edited).to_json()
    project.entry("20261122T2-repro-bbbbbb", "repro", snapshot=noted)
    assert groups(project, "HEAD~2", "20261122T2") == []


def test_runs_on_other_source_data_are_no_seeds(project: Project) -> None:
    seeded(project, 1)
    project.commit("seed 1")
    assert groups(project, "HEAD~1", "HEAD") == [(0, 1)]
    project.data = {"data/raw": "a table that follows from the seed"}
    project.commit("made data differ")
    assert groups(project, "HEAD~2", "HEAD") == [(0, 1)], "what a stage gave is not asked for"
    project.write("data/own/points.csv", "3,4\n")
    project.commit("other points")
    assert groups(project, "HEAD~3", "HEAD") == []
    noted = read_snapshot(project.root, "HEAD").to_json()
    project.entry("20261122T2-repro-bbbbbb", "repro", snapshot=noted)
    assert groups(project, "HEAD~3", "20261122T2") == []


def test_runs_of_one_stage_on_other_inputs_are_no_seeds(project: Project) -> None:
    for run, (seed, digest) in enumerate([(0, "a"), (1, "a"), (2, "b")]):
        given: dict[str, Any] = {"params": {"train.seed": seed}, "inputs": {"table": digest}}
        project.entry(f"20261122T{run}-train-aaaaa{run}", **given)
    assert groups(project, *(f"20261122T{run}" for run in range(3))) == [(0, 1)]
