"""Where the project lies, and where its caches do."""

from __future__ import annotations

import os
from pathlib import Path

from geocore.errors import UserError

__all__ = ["geocore_home", "ledger_folder", "project_root", "store_folder", "work_folder"]


def project_root(start: Path | None = None) -> Path:
    """The nearest folder from ``start`` upwards with ``dvc.yaml`` and ``flows/`` or pyproject.toml.

    A study has a ``dvc.yaml`` of its own but neither: from inside it the root is still found.
    ``start`` defaults to the working folder. Raises ``UserError`` where there is none.
    """
    here = Path.cwd() if start is None else Path(start).resolve()
    for folder in (here, *here.parents):
        has_code = (folder / "flows").is_dir() or (folder / "pyproject.toml").is_file()
        if (folder / "dvc.yaml").is_file() and has_code:
            return folder
    raise UserError(f"no dvc.yaml here or above {here}: run geocore inside the repository")


def geocore_home(root: Path) -> Path:
    """``$GEOCORE_HOME`` (from ``root`` if it is relative), or ``root/.geocore``."""
    return Path(root) / Path(os.environ.get("GEOCORE_HOME") or ".geocore").expanduser()


def store_folder(root: Path) -> Path:
    """Where the piece store lies."""
    return geocore_home(root) / "store"


def ledger_folder(root: Path) -> Path:
    """Where the run ledger lies."""
    return geocore_home(root) / "ledger"


def work_folder(root: Path) -> Path:
    """Where the outputs under way lie, a folder per key."""
    return geocore_home(root) / "work"
