"""A working copy of the project in a temporary folder, and what its user does in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from geocore.config.load import leaves, read_yaml
from geocore.config.presets import read_presets

__all__ = ["Project", "copy_project", "user_environment"]

ROOT = Path(__file__).parents[2]
_COPIED = (
    "geocore", "flows", "tasks", "dvc.yaml", "params.yaml", "presets.yaml", "prefect.yaml",
    "pyproject.toml", "requirements.lock", ".dvcignore", ".gitignore",
)  # fmt: skip

_TINY = {
    "runtime.threads": 1,
    "resample.nside": 4,
    "model.embed": 8,
    "model.depths": [1],
    "model.heads": [2],
    "ntk.subset": 40,
    "ntk.block": 20,
    "synthesize.channels": [2],
    "synthesize.epochs": 1,
    "synthesize.variants": [],
    "evaluate.samples": 4,
    "evaluate.rotations": 1,
}


@dataclass
class Project:
    """A working copy, and how to run commands in it as its user would."""

    root: Path
    environment: dict[str, str]

    def run(self, *command: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def repro(self, *targets: str) -> subprocess.CompletedProcess[str]:
        return self.run("dvc", "repro", *targets)

    def geocore(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("geocore", *arguments)

    def set(self, **values: Any) -> None:
        """Change leaves of params.yaml, ``train__lr=0.1``."""
        path = self.root / "params.yaml"
        params = read_yaml(path)
        for name, value in values.items():
            section, key = name.split("__")
            params[section][key] = value
        path.write_text(yaml.safe_dump(params, sort_keys=False))

    def json(self, path: str) -> Any:
        return json.loads((self.root / path).read_text())

    def runs(self, stage: str) -> list[dict[str, Any]]:
        """Ledger entries of a stage, newest first."""
        found: list[dict[str, Any]] = json.loads(
            self.geocore("runs", "--stage", stage, "--json").stdout
        )
        return found


def copy_project(target: Path, environment: dict[str, str]) -> Project:
    """The project's code and parameters with the smoke preset, as a fresh repository."""
    target.mkdir(parents=True)
    ignored = shutil.ignore_patterns("__pycache__")
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=ignored)
        elif source.exists():
            shutil.copy2(source, target / name)
    (target / "data" / "own").mkdir(parents=True)
    project = Project(target, environment)
    params = read_yaml(target / "params.yaml")
    for leaf, value in {**read_presets(target)["smoke"], **_TINY}.items():
        section, key = leaf.split(".")
        assert leaf in leaves(params), leaf
        params[section][key] = value
    (target / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    for command in (
        ["git", "init", "-q"],
        ["git", "config", "user.email", "test@example.org"],
        ["git", "config", "user.name", "test"],
        [sys.executable, "-m", "dvc", "init", "-q"],
        ["git", "add", "-A"],
        ["git", "commit", "-qm", "start"],
    ):
        subprocess.run(command, cwd=target, env=environment, check=True, capture_output=True)
    return project


def user_environment() -> dict[str, str]:
    """The environment of this process without what its own settings or a test runner put there."""
    dropped = ("PREFECT_", "GEOCORE_", "PYTEST_", "DVC_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    binaries = str(Path(sys.executable).parent)
    return {
        **kept,
        "PATH": f"{binaries}{os.pathsep}{kept.get('PATH', '')}",
        "OMP_NUM_THREADS": "1",
        "DVC_NO_ANALYTICS": "1",
        "DO_NOT_TRACK": "1",
    }
