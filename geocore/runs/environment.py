"""What a run stood on: code, commit, libraries, machine."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from geocore.runs.digest import digest_file

__all__ = ["NUMERIC_LIBRARIES", "environment", "git_state", "library_versions"]

# The libraries whose version can change a number. A piece that another one makes names it too:
# `piece_key(..., libraries=library_versions("hls4ml"))`.
NUMERIC_LIBRARIES = (
    "e3nn",
    "escnn",
    "healpy",
    "jax",
    "jaxlib",
    "neural-tangents",
    "numpy",
    "numpyro",
    "pandas",
    "pillow",
    "pyarrow",
    "safetensors",
    "scikit-learn",
    "scipy",
    "torch",
    "torchdiffeq",
)

_CODE = ("geocore", "flows", "tasks", "pyproject.toml", "requirements.lock")


def library_versions(*more: str) -> dict[str, str]:
    """Versions of the installed numeric libraries, and of ``more``; nothing is imported."""
    versions = {name: _version(name) for name in (*NUMERIC_LIBRARIES, *more)}
    return {name: version for name, version in sorted(versions.items()) if version is not None}


@functools.cache
def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def git_state(folder: Path) -> dict[str, Any]:
    """``commit`` (None without git or before the first commit) and whether code differs from it.

    ``dirty`` looks at code and pins alone: outputs and parameters are recorded by themselves.
    """
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    status = _git(folder, "status", "--porcelain", "--", *_CODE)
    return {"commit": commit or None, "dirty": None if status is None else bool(status)}


def _git(folder: Path, *arguments: str) -> str | None:
    # Without optional locks: looking on must not get in the way of somebody's git command.
    quiet = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=20,
            env=quiet,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def environment(project: Path | None) -> dict[str, Any]:
    """Host, platform, Python, library versions, and the digest of ``requirements.lock``."""
    lock = None if project is None else project / "requirements.lock"
    return {
        "host": platform.node(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "libraries": library_versions(),
        "requirements_lock": digest_file(lock) if lock is not None and lock.is_file() else None,
    }
