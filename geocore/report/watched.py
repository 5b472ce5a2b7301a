"""Which files a page is made of, so that a live one is made anew when any of them changes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from geocore.report.lockfile import CODE
from geocore.report.pipeline_of import PINS, study_of
from geocore.report.workspace import WORKSPACE
from geocore.runs.home import ledger_folder

__all__ = ["watched"]

_OF_TREE = ("HEAD", "logs/HEAD")  # of each working tree; the rest all of them share
_OF_ALL = ("packed-refs", "refs/heads", "refs/tags", "refs/exps")
_PIPELINE = ("params.yaml", "dvc.yaml", "dvc.lock", "results")
_ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_PREFIX")
_OWN = "data/own"  # of the root, for all pipelines


def watched(root: Path, names: Sequence[str]) -> list[Path]:
    """The files and folders that the page of ``names`` depends on, there or not.

    The ledger and what git's names point to, whatever is compared; where ``names`` has the
    workspace, or the folder of a study, also its parameters, lock and results, the code and the
    project's own data. What the stages hand on (``data/raw``, ...) counts by ``dvc.lock``. Git
    is asked once where its files lie: above ``root``, or elsewhere for a linked working tree.
    """
    lying = [root] if WORKSPACE in names else []
    folders = [root / study for study in map(study_of, names) if study]
    lying += [folder for folder in folders if (folder / "dvc.yaml").is_file()]
    own, common = _git_folders(root)
    found = [ledger_folder(root), *(own / name for name in _OF_TREE)]
    found += [common / name for name in _OF_ALL]
    found += [folder / name for folder in lying for name in _PIPELINE]
    if lying:
        found += [root / name for name in (*CODE, PINS, _OWN)]
    return found


def _git_folders(root: Path) -> tuple[Path, Path]:
    """Git's folder of the working tree that ``root`` lies in, and the one that all trees share.

    ``.git`` of ``root`` where git tells nothing: it is not installed, or there is no repository
    yet.
    """
    # A git hook sets these, and they would name another repository.
    here = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    asked = ("rev-parse", "--git-dir", "--git-common-dir")
    try:
        done = subprocess.run(
            ["git", "-C", os.fspath(root), *asked], capture_output=True, timeout=60, env=here
        )
    except (OSError, subprocess.TimeoutExpired):
        return root / ".git", root / ".git"
    told = done.stdout.splitlines() if done.returncode == 0 else []
    if len(told) != 2:
        return root / ".git", root / ".git"
    own, common = (root / os.fsdecode(line) for line in told)  # git tells them from `root` on
    return own, common
