"""The project's root and its caches, from wherever the user stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from geocore.errors import UserError
from geocore.runs.home import geocore_home, ledger_folder, project_root, store_folder, work_folder


def test_the_root_is_found_from_below_and_from_inside_a_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tmp_path / "studies" / "heal_swin"
    study.mkdir(parents=True)
    (tmp_path / "flows").mkdir()
    for folder in (tmp_path, study):
        (folder / "dvc.yaml").write_text("")
        (folder / "params.yaml").write_text("")
    monkeypatch.chdir(study)
    assert project_root() == project_root(tmp_path / "flows") == tmp_path


def test_outside_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        project_root(tmp_path)
    assert str(caught.value) == (
        f"no dvc.yaml here or above {tmp_path}: run geocore inside the repository"
    )


def test_caches_lie_in_the_project_or_where_the_user_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GEOCORE_HOME", raising=False)
    assert geocore_home(tmp_path) == tmp_path / ".geocore"
    monkeypatch.setenv("GEOCORE_HOME", "/big/disk")
    assert store_folder(tmp_path) == Path("/big/disk/store")
    assert ledger_folder(tmp_path) == Path("/big/disk/ledger")
    monkeypatch.setenv("GEOCORE_HOME", "caches")
    assert work_folder(tmp_path) == tmp_path / "caches" / "work"
