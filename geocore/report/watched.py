"""Which files a page is made of, so that a live one is made anew when any of them changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from geocore.report.lockfile import CODE
from geocore.report.pipeline_of import PINS, study_of
from geocore.report.workspace import WORKSPACE
from geocore.runs.home import ledger_folder

__all__ = ["watched"]

_GIT = ("HEAD", "logs/HEAD", "packed-refs", "refs/heads", "refs/tags", "refs/exps")
_PIPELINE = ("params.yaml", "dvc.yaml", "dvc.lock", "results")
_OWN = "data/own"  # of the root, for all pipelines


def watched(root: Path, names: Sequence[str]) -> list[Path]:
    """The files and folders that the page of ``names`` depends on, there or not.

    The ledger and what git's names point to, whatever is compared; where ``names`` has the
    workspace, or the folder of a study, also its parameters, lock and results, the code and the
    project's own data. What the stages hand on (``data/raw``, ...) counts by ``dvc.lock``.
    """
    lying = [root] if WORKSPACE in names else []
    folders = [root / study for study in map(study_of, names) if study]
    lying += [folder for folder in folders if (folder / "dvc.yaml").is_file()]
    found = [ledger_folder(root), *(root / ".git" / name for name in _GIT)]
    found += [folder / name for folder in lying for name in _PIPELINE]
    if lying:
        found += [root / name for name in (*CODE, PINS, _OWN)]
    return found
