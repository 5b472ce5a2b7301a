"""A commit as a snapshot: what git has of it, and from DVC's cache what DVC has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from geocore.report.lockfile import Cache, Lock
from geocore.report.pipeline_of import tree_of
from geocore.report.provenance import record_of_results
from geocore.report.repository import Repository
from geocore.report.results import TABLE_LIMIT, Results, is_result, is_table
from geocore.report.snapshot import Snapshot
from geocore.report.tracked import Tracked, some

__all__ = ["revision_snapshot"]

_BY_DVC = re.compile(r"dvc: commit experiment [0-9a-f]+")  # a message that tells nobody anything


def revision_snapshot(
    root: Path,
    name: str,
    commit: str,
    kind: Literal["revision", "experiment"] = "revision",
    study: str = "",
) -> Snapshot:
    """What the commit holds below ``root``; what is in no cache here is left out and said.

    It is that of the root's pipeline, or of the one in the folder ``study``.
    """
    repository = Repository(root)
    files = tree_of(repository.files(commit), study)
    wanted = [path for path in files if _is_read(path) or path in ("params.yaml", "dvc.lock")]
    contents = repository.contents(files[path] for path in wanted)
    held = {path: contents[files[path]] for path in wanted if files[path] in contents}
    tracked = Tracked.of(name, held.get("params.yaml"), held.get("dvc.lock")).within(study)
    results, absent = Results(name), []
    for path, content in held.items():
        if _is_read(path):
            results.add(path, content)
    for path, owned in _owned(tracked.lock, Cache(root)):
        if owned is not None and path not in held:
            results.add(path, owned)
        elif owned is None and path not in held:
            absent.append(path)
    code, other_code = tracked.parted(files)
    texts = repository.contents(code.values())
    notes = tracked.notes({path: texts[blob] for path, blob in code.items() if blob in texts})
    if absent:
        notes = (*notes, f"not in DVC's cache here (dvc pull brings them): {some(absent)}")
    return Snapshot(
        name=name,
        kind=kind,
        commit=commit,
        about=_about(repository, commit, kind),
        params=tracked.params,
        metrics=results.metrics,
        gates=results.gates,
        code=code,
        data=tracked.data(),
        curves=results.curves,
        pictures=results.pictures,
        tables=results.tables,
        record=record_of_results(
            root,
            results.digests,
            tracked.lock,
            study=study,
            commit=commit,
            until=repository.committed(commit),
        ),
        notes=notes,
        other_code=other_code,
        unread=None if any(map(_has_pictures, absent)) else {},
        study=study,
    )


def _about(repository: Repository, commit: str, kind: str) -> str:
    """The commit's subject, and for an experiment what it began from."""
    subject = repository.subject(commit)
    by_dvc = _BY_DVC.fullmatch(subject) is not None
    base = repository.commit(f"{commit}^") if by_dvc or kind == "experiment" else None
    if base is None:
        return subject
    return f"experiment on {base[:12]}: {repository.subject(base) if by_dvc else subject}"


def _has_pictures(path: str) -> bool:
    """Whether pictures may lie there: a folder, or one itself."""
    return path.endswith(".png") or not _is_read(path)


def _is_read(path: str) -> bool:
    return is_result(path) or is_table(path)


def _is_large(cache: Cache, path: str, md5: str) -> bool:
    """Whether it is a table that no page shows, for its size."""
    there = cache.path(md5) if is_table(path) else None
    return there is not None and there.stat().st_size > TABLE_LIMIT


def _owned(lock: Lock, cache: Cache) -> Iterator[tuple[str, bytes | None]]:
    """The results that DVC owns, with None for what its cache has not."""
    for path, md5 in sorted(lock.outs.items()):
        if md5.endswith(".dir") and path.startswith("results/"):
            inside = cache.folder(md5)
            if inside is None:
                yield path, None
            for name, inner in sorted((inside or {}).items()):
                whole = f"{path}/{name}"
                if _is_read(whole) and not _is_large(cache, whole, inner):
                    yield whole, cache.read(inner)
        elif _is_read(path) and not _is_large(cache, path, md5):
            yield path, cache.read(md5)
