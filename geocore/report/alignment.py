"""Bringing snapshots to one kind of digest, so that a run can be held against a revision.

``dvc.lock`` and git know files by the digest of their bytes. The ledger knows modules by the
digest of their statements, and a table by that of its ``table.json``. Where a run of one stage
takes part, the others are asked again in its terms.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from geocore.errors import UserError
from geocore.report.lockfile import CODE, Cache
from geocore.report.pipeline_of import tree_of
from geocore.report.recorded import GEOCORE, UNPLACED, statements
from geocore.report.repository import Repository
from geocore.report.snapshot import Snapshot
from geocore.runs.closure import module_digests
from geocore.runs.digest import digest_file, digest_json

__all__ = ["aligned"]


def aligned(root: Path, snapshots: Sequence[Snapshot]) -> list[Snapshot]:
    """The snapshots with code and data in one kind of digest each, as far as that can be had.

    Without a run of a single stage among them they come back as they are. What cannot be
    brought to one kind keeps its own; ``compare`` then says that it is not comparable. Raises
    ``UserError`` for a run of one stage beside what is of another pipeline, whose parameters and
    results lie elsewhere.
    """
    studies = {snapshot.study for snapshot in snapshots}
    if len(studies) > 1 and any(snapshot.scopes for snapshot in snapshots):
        odd = next(snapshot for snapshot in snapshots if snapshot.study)
        raise UserError(
            f"{odd.name}: of {odd.study}, a pipeline of its own; beside a run of one stage "
            "expected only what is of the same pipeline"
        )
    stages = sorted({s.scopes["code"] for s in snapshots if "code" in s.scopes})
    if not stages:
        return list(snapshots)
    paths = sorted({path for s in snapshots if s.data_kind == GEOCORE for path in s.data})
    cache = Cache(root)
    return [
        snapshot
        if "code" in snapshot.scopes
        else _with_data(cache, _with_modules(root, snapshot, stages), stages, paths)
        for snapshot in snapshots
    ]


def _scoped(snapshot: Snapshot, section: str, stages: Sequence[str]) -> dict[str, str]:
    """Asked for one stage it speaks of that alone; asked for several it has what any run has."""
    return {**snapshot.scopes, **({section: stages[0]} if len(stages) == 1 else {})}


def _with_modules(root: Path, snapshot: Snapshot, stages: Sequence[str]) -> Snapshot:
    try:
        with _sources(root, snapshot) as folder:
            if folder is None:
                return snapshot
            digests = module_digests([f"flows.{stage}" for stage in stages], folder)
    except (UserError, ValueError):
        return snapshot  # there the stage did not exist yet, or was no valid Python
    return replace(
        snapshot,
        code=digests,
        code_kind=statements(module_digests(["geocore.runs.closure"])),
        other_code={},
        scopes=_scoped(snapshot, "code", stages),
    )


@contextmanager
def _sources(root: Path, snapshot: Snapshot) -> Iterator[Path | None]:
    """A folder with the snapshot's packages; None if they cannot be had any more."""
    if snapshot.kind == "workspace":
        yield root
        return
    repository = Repository(root)
    files = {} if snapshot.commit is None else repository.files(snapshot.commit)
    files = tree_of(files, snapshot.study)
    # A run's files may have differed from its commit: then the commit is no witness.
    if not snapshot.code or any(files.get(path) != blob for path, blob in snapshot.code.items()):
        yield None
        return
    packages = [path for path in files if path.split("/")[0] in CODE and path.endswith(".py")]
    contents = repository.contents(files[path] for path in packages)
    with tempfile.TemporaryDirectory(prefix="geocore-") as folder:
        for package in CODE:  # also an empty one: else that of the running geocore is taken
            Path(folder, package).mkdir()
        for path in packages:
            target = Path(folder, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(contents[files[path]])
        yield Path(folder)


def _with_data(
    cache: Cache, snapshot: Snapshot, stages: Sequence[str], paths: Iterable[str]
) -> Snapshot:
    found, lost = {}, []
    for path in paths:
        if path.startswith(UNPLACED):
            lost.append(path)
        elif path in snapshot.data:
            digest = _digest(cache, snapshot.data[path])
            if digest is None:
                lost.append(path)
            else:
                found[path] = digest
    scopes = _scoped(snapshot, "data", stages)
    if lost:  # what is not found may be there: it is not recorded, rather than absent
        scopes["data"] = "what is in DVC's cache"
    return replace(snapshot, data=found, data_kind=GEOCORE, scopes=scopes)


def _digest(cache: Cache, md5: str) -> str | None:
    """What geocore calls the file or folder that DVC knows by ``md5``; None if it is not here."""
    if not md5.endswith(".dir"):
        path = cache.path(md5)
        return None if path is None else digest_file(path)
    inside = cache.folder(md5)
    if inside is None:
        return None
    if "table.json" in inside:  # a table goes by it: it holds the digest of every part
        return _digest(cache, inside["table.json"])
    digests = {name: _digest(cache, inner) for name, inner in inside.items()}
    return None if None in digests.values() else digest_json(digests)
