"""A study's pipeline as the root's: its files by their names in its own folder.

Every stage runs at the project's root, so the lock of ``studies/x`` names
``studies/x/results/...``. Without the folder two studies have the same files, and so has the root.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import PurePosixPath

from geocore.report.lockfile import Lock, Locked, is_code

__all__ = ["PINS", "has_pipeline", "lock_of", "own_name", "study_of", "tree_of"]

PINS = "requirements.lock"  # of the environment, one for all pipelines


def study_of(name: str) -> str:
    """The folder that a name may be, ``studies/x`` of ``./studies/x/``; ``""`` if it is none.

    No name leads out of the project.
    """
    path = PurePosixPath(name)
    inside = not path.is_absolute() and ".." not in path.parts and "\0" not in name
    short = len(name) < 1000 and all(len(os.fsencode(part)) < 256 for part in path.parts)
    return path.as_posix() if inside and short and path.parts else ""


def has_pipeline(files: Mapping[str, str], study: str) -> bool:
    """Whether a tree has a pipeline in that folder."""
    return bool(study) and f"{study}/dvc.yaml" in files


def tree_of(files: Mapping[str, str], study: str) -> dict[str, str]:
    """What a pipeline sees of a tree: its own folder by the names there, the code, the pins."""
    if not study:
        return dict(files)
    shared = {path: blob for path, blob in files.items() if is_code(path) or path == PINS}
    return shared | {own_name(path, study): b for path, b in files.items() if _is_in(path, study)}


def lock_of(lock: Lock, study: str) -> Lock:
    """The lock with what lies in the study's folder by its name there."""
    if not study:
        return lock
    stages = {
        name: Locked(
            {own_name(path, study): md5 for path, md5 in stage.deps.items()},
            {own_name(path, study): md5 for path, md5 in stage.outs.items()},
            stage.params,
        )
        for name, stage in lock.stages.items()
    }
    return Lock(stages)


def _is_in(path: str, study: str) -> bool:
    return path.startswith(f"{study}/")


def own_name(path: str, study: str) -> str:
    """A path from the study's folder if it lies there, else as it is."""
    return path.removeprefix(f"{study}/") if study else path
