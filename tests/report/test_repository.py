"""Git's objects by names of all sorts."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from geocore.errors import UserError
from geocore.report.repository import Experiment, Repository
from tests.report.scene import Project

ODD = [
    "a b.py",
    'q"uote.py',
    "line\nbreak.py",
    "ünï.py",
    "back\\slash.py",
    "-dash.py",
    ":(glob)x.py",
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("repository"))
    for name in ODD:
        project.write(f"geocore/{name}", name)
    (project.root / "geocore/link.py").symlink_to("a b.py")
    project.commit("first <b>")
    return project


def test_every_way_to_name_a_commit(project: Project) -> None:
    repository, head = Repository(project.root), project.git("rev-parse", "HEAD")
    project.git("tag", "-f", "v1")
    project.git("tag", "-f", "-a", "annotated", "-m", "words")
    project.git("branch", "-f", "<script>alert(1)</script>")
    for name in ("HEAD", "main", "v1", "annotated", head, head[:7], "<script>alert(1)</script>"):
        assert repository.commit(name) == head, name
    assert {"main", "v1", "<script>alert(1)</script>"} <= set(repository.names())
    assert repository.subject(head) == "first <b>"


@pytest.mark.parametrize(
    "name",
    ["", "-h", "--all", "--git-dir", "mian", "HEAD..main", "HEAD:params.yaml", "a\0b", "$(id)",
     "; touch x", "HEAD^{tree}", "\udcff", "x" * 5000],
)  # fmt: skip
def test_what_names_no_commit(project: Project, name: str) -> None:
    assert Repository(project.root).commit(name) is None


def test_the_beginning_of_several_hashes(project: Project) -> None:
    tree = project.git("rev-parse", "HEAD^{tree}")
    seen: dict[str, str] = {}
    for number in itertools.count():
        commit = project.git("commit-tree", tree, "-m", str(number))
        other = seen.setdefault(commit[:4], commit)
        if other != commit:
            break
        assert number < 2000
    with pytest.raises(UserError) as caught:
        Repository(project.root).commit(commit[:4])
    first, second = sorted((other[:12], commit[:12]))
    assert caught.value.lines == (
        f"commit '{commit[:4]}' is not unique; it may be {first}, {second}",
    )


def test_blobs_of_the_tree_and_of_the_files_are_the_same(project: Project) -> None:
    repository = Repository(project.root)
    committed = repository.files("HEAD")
    present = repository.present(["geocore", "dvc.yaml"])
    assert set(present) == {p for p in committed if p.startswith("geocore/") or p == "dvc.yaml"}
    assert {f"geocore/{name}" for name in ODD} <= set(present)
    assert "geocore/link.py" not in committed
    hashes = repository.hashes(present)
    assert hashes == {path: committed[path] for path in present}
    contents = repository.contents(hashes.values())
    for name in ODD:
        assert contents[hashes[f"geocore/{name}"]] == name.encode()


def test_untracked_files_count_and_ignored_ones_do_not(project: Project) -> None:
    new = project.write("geocore/new.py", "1")
    project.write("geocore/__pycache__/x.pyc", "1")
    try:
        present = Repository(project.root).present(["geocore"])
    finally:
        new.unlink()
    assert "geocore/new.py" in present
    assert not any("__pycache__" in path for path in present)


def test_a_blob_that_is_not_there_is_left_out(project: Project) -> None:
    repository = Repository(project.root)
    blob = repository.files("HEAD")["dvc.yaml"]
    assert list(repository.contents(["0" * 40, blob])) == [blob]
    assert repository.contents([]) == {}
    for name in ("--help", "-d", "mian"):
        assert repository.files(name) == {}


def test_experiments_by_their_references(project: Project) -> None:
    head = project.git("rev-parse", "HEAD")
    project.experiment("brave-newt", head, baseline=head)
    project.git("update-ref", "refs/exps/exec/EXEC_HEAD", head)
    project.git("update-ref", "refs/exps/stash", head)
    assert Repository(project.root).experiments() == [Experiment("brave-newt", head)]


def test_below_the_repository_and_outside_of_any(project: Project, tmp_path: Path) -> None:
    inner = Repository(project.root / "geocore")
    assert "train/loop.py" in inner.files("HEAD")
    assert "train/loop.py" in inner.present(["train"])
    nowhere = Repository(tmp_path)
    assert nowhere.commit("HEAD") is None
    assert nowhere.names() == []
    assert nowhere.experiments() == []
    assert nowhere.present(["."]) == []
    assert nowhere.files("HEAD") == {}


def test_a_hook_s_variables_do_not_lead_astray(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert Repository(project.root).commit("HEAD") is not None
