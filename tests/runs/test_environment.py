"""What a run stood on: code, commit, libraries."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from geocore.runs.digest import digest_bytes
from geocore.runs.environment import environment, git_state, library_versions


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments],
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout.strip()


def test_versions_are_those_of_the_installed_libraries() -> None:
    versions = library_versions("no-such-library", "pytest")
    assert versions["torch"] == metadata.version("torch")
    assert versions["pytest"] == pytest.__version__
    assert "no-such-library" not in versions


def test_git_state_tells_commit_and_changed_code(tmp_path: Path) -> None:
    assert git_state(tmp_path) == {"commit": None, "dirty": None}
    git(tmp_path, "init")
    (tmp_path / "geocore").mkdir()
    (tmp_path / "geocore" / "x.py").write_text("x = 1")
    assert git_state(tmp_path) == {"commit": None, "dirty": True}
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    clean = {"commit": git(tmp_path, "rev-parse", "HEAD"), "dirty": False}
    assert git_state(tmp_path) == clean
    (tmp_path / "dvc.lock").write_text("an output")
    assert git_state(tmp_path) == clean
    (tmp_path / "geocore" / "y.py").write_text("y = 1")
    assert git_state(tmp_path) == {**clean, "dirty": True}


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(tmp_path) == {"commit": None, "dirty": None}


def test_the_environment_names_python_and_the_pins(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_bytes(b"torch==2.13.0\n")
    found = environment(tmp_path)
    assert found["python"] == platform.python_version()
    assert found["libraries"] == library_versions()
    assert found["requirements_lock"] == digest_bytes(b"torch==2.13.0\n")
    assert environment(None)["requirements_lock"] is None
