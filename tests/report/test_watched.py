"""What a live page looks at."""

from __future__ import annotations

from pathlib import Path

import pytest

from geocore.report.live_page import fingerprint
from geocore.report.watched import watched
from tests.report.scene import Project

STUDY = "studies/digits"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("GEOCORE_HOME", raising=False)
    project = Project(tmp_path / "project")
    project.write(f"{STUDY}/dvc.yaml", "stages: {}\n")
    project.commit()
    return project


def renewed(project: Project, names: list[str], path: str) -> bool:
    """Whether the page of ``names`` is made anew once ``path`` is written."""
    before = fingerprint(watched(project.root, names))
    project.write(path, "changed")
    return fingerprint(watched(project.root, names)) != before


OWN = ("params.yaml", "dvc.lock", "dvc.yaml", "results/train/curve.csv")
SHARED = (".geocore/ledger/x.json", ".git/refs/heads/other")
CODE = ("geocore/train/loop.py", "flows/train.py", "requirements.lock", "data/own/1/a.png")


@pytest.mark.parametrize("path", [*OWN, *SHARED, *CODE])
def test_the_workspace_is_all_of_it(project: Project, path: str) -> None:
    assert renewed(project, ["HEAD", "workspace"], path)


@pytest.mark.parametrize("path", [*(f"{STUDY}/{path}" for path in OWN), *SHARED, *CODE])
def test_a_study_has_files_of_its_own(project: Project, path: str) -> None:
    assert renewed(project, [f"./{STUDY}/", "HEAD"], path)


def test_nothing_else_makes_a_page_anew(project: Project) -> None:
    for path in (*OWN, *CODE):
        assert not renewed(project, ["HEAD", "main", f"HEAD:{STUDY}"], path), path
    for path in OWN:
        assert not renewed(project, [STUDY, "HEAD"], path), path
        assert not renewed(project, ["workspace"], f"{STUDY}/{path}"), path
    for path in ("data/raw/part-0.arrow", ".geocore/store/x/y", "README.md"):
        assert not renewed(project, ["workspace", STUDY], path), path


def test_a_commit_counts_whatever_is_compared(project: Project) -> None:
    before = fingerprint(watched(project.root, ["HEAD"]))
    project.git("commit", "--quiet", "--allow-empty", "-m", "next")
    assert fingerprint(watched(project.root, ["HEAD"])) != before


def test_the_ledger_may_lie_elsewhere(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEOCORE_HOME", "elsewhere")
    assert renewed(project, ["HEAD"], "elsewhere/ledger/x.json")


@pytest.mark.parametrize("where", ["root", "below", "linked", "linked below"])
def test_git_lies_where_it_says(tmp_path: Path, project: Project, where: str) -> None:
    """In a folder of the repository, and in a working tree whose ``.git`` is a file."""
    tree = project.root
    if "linked" in where:
        tree = tmp_path / "linked"
        project.git("worktree", "add", "--quiet", "-b", "side", str(tree))
        assert (tree / ".git").is_file()
    root = tree / STUDY if "below" in where else tree
    for act in (
        ["commit", "--quiet", "--allow-empty", "-m", "next"],
        ["branch", "other"],
        ["tag", "one"],
        ["update-ref", "refs/exps/x", "HEAD"],
        ["pack-refs", "--all"],
        ["checkout", "--quiet", "--detach"],
    ):
        before = fingerprint(watched(root, ["HEAD"]))
        project.git("-C", str(tree), *act)
        assert fingerprint(watched(root, ["HEAD"])) != before, act


def test_a_hook_that_names_another_repository_is_not_heard(
    tmp_path: Path, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = watched(project.root, ["HEAD"])
    other = Project(tmp_path / "other")
    other.commit()
    monkeypatch.setenv("GIT_DIR", str(other.root / ".git"))
    assert watched(project.root, ["HEAD"]) == expected


def test_where_there_is_no_repository_yet_one_may_come(tmp_path: Path) -> None:
    before = fingerprint(watched(tmp_path, ["workspace"]))
    Project(tmp_path).commit()
    assert fingerprint(watched(tmp_path, ["workspace"])) != before
