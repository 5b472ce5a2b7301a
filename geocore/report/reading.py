"""A name -> the snapshot that it stands for: workspace, revision, experiment, run, study."""

from __future__ import annotations

import difflib
from pathlib import Path

from geocore.errors import UserError
from geocore.report.pipeline_of import has_pipeline, study_of
from geocore.report.recorded import recorded_snapshot
from geocore.report.repository import Repository
from geocore.report.revision import revision_snapshot
from geocore.report.snapshot import Snapshot
from geocore.report.tracked import some
from geocore.report.workspace import WORKSPACE, workspace_snapshot
from geocore.runs.home import ledger_folder
from geocore.runs.ledger import Ledger

__all__ = ["read_snapshot"]

_LOOKED_THROUGH = 2000  # names, for the one that was meant


def read_snapshot(root: Path, name: str) -> Snapshot:
    """The state of the project at ``root`` that ``name`` stands for.

    ``"workspace"``: the files as they lie now; else a git revision, the name of a DVC experiment,
    or a run of the ledger by its name or a beginning of it, or the folder of a study for its files
    as they lie now, in this order. ``REVISION:FOLDER`` is a study in a revision. Raises
    ``UserError`` in one line for a name that is none of these or stands for several.
    """
    if name == WORKSPACE:
        return workspace_snapshot(root)
    repository = Repository(root)
    commit = repository.commit(name)
    if commit is not None:
        return revision_snapshot(root, name, commit)
    experiments = repository.experiments()
    commits = [found.commit for found in experiments if found.name == name]
    if len(commits) > 1:
        told = some([commit[:12] for commit in commits])
        raise UserError(f"experiment {name!r} is not unique; it may be commit {told}")
    if commits:
        return revision_snapshot(root, name, commits[0], kind="experiment")
    ledger = Ledger(ledger_folder(root), root)
    runs = sorted((path.stem for path in ledger.root.glob("[!.]*.json")), reverse=True)
    if name and any(run.startswith(name) for run in runs):
        return recorded_snapshot(root, name, ledger.show(name))
    study = study_of(name)
    if study and (root / study / "dvc.yaml").is_file():
        return workspace_snapshot(root, name, study)
    before, colon, folder = name.partition(":")
    commit, study = repository.commit(before), study_of(folder)
    if colon and commit is not None:
        if not has_pipeline(repository.files(commit), study):
            raise UserError(
                f"{name!r}: no {study or '.'}/dvc.yaml there; expected a study's folder"
            )
        return revision_snapshot(root, name, commit, study=study)
    known = [WORKSPACE, "HEAD", *repository.names(), *(found.name for found in experiments), *runs]
    raise UserError(f"{name!r} is no git revision, experiment or run; {_hint(name, known)}")


def _hint(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known[:_LOOKED_THROUGH], n=1)
    if near:
        return f"did you mean {near[0]}?"
    return "expected workspace, a branch, tag or commit, an experiment, or a run of geocore runs"
