"""What a panel would show and is too large to be read is said, wherever a snapshot is from."""

from __future__ import annotations

from pathlib import Path

import pytest

from geocore.report.reading import read_snapshot
from geocore.report.results import TABLE_LIMIT
from geocore.runs.store import Store
from tests.report.scene import Project

KEY = "0123456789abcdef" * 2
LARGE = bytes(TABLE_LIMIT + 1)
LINE = (
    "results/spheres/maps.arrow is left out: it has 8,388,609 bytes, and up to 8,388,608 are read"
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


@pytest.mark.parametrize("inside", [False, True], ids=["a file", "of a folder"])
def test_of_a_revision_the_workspace_and_a_whole_run(project: Project, inside: bool) -> None:
    project.owned = (
        {"results/spheres": {"maps.arrow": LARGE}}
        if inside
        else {"results/spheres/maps.arrow": LARGE}
    )
    project.commit("spheres")
    noted = read_snapshot(project.root, "workspace").to_json()
    project.entry("20261122T2-repro-bbbbbb", "repro", snapshot=noted)
    for name in ("workspace", "HEAD", "20261122T2"):
        found = read_snapshot(project.root, name)
        assert (found.tables, found.notes) == ({}, (LINE,)), name
        assert not found.stale, name


def test_of_a_revision_that_git_itself_has(project: Project) -> None:
    project.write("results/spheres/maps.arrow", LARGE)
    project.commit("spheres")
    assert read_snapshot(project.root, "HEAD").notes == (LINE,)


def test_of_a_run_of_one_stage(project: Project) -> None:
    def build(folder: Path) -> None:
        (folder / "maps.arrow").write_bytes(LARGE)

    Store(project.root / ".geocore/store").make(KEY, build, verb="spheres")
    project.entry("20261122T3-spheres-cccccc", "spheres", key=KEY, pieces={KEY: "made"})
    found = read_snapshot(project.root, "20261122T3")
    assert found.tables == {}
    assert LINE in found.notes


def test_at_the_bound_it_is_read_and_what_no_panel_shows_is_no_loss(project: Project) -> None:
    project.owned = {
        "results/spheres/maps.arrow": LARGE[1:],
        "results/evaluate/predictions.parquet": LARGE,
    }
    project.commit("spheres")
    for name in ("workspace", "HEAD"):
        found = read_snapshot(project.root, name)
        assert (set(found.tables), found.notes) == ({"spheres/maps.arrow"}, ()), name
