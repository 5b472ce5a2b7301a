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
    cache = Cache(root)
    for path, md5 in _owned(tracked.lock, cache):
        if path in held:
            continue
        size = _size(cache, md5)
        if is_table(path) and size is not None and size > TABLE_LIMIT:
            results.pass_over(path, size)
            continue
        owned = None if md5.endswith(".dir") else cache.read(md5)
        if owned is None:
            absent.append(path)
        else:
            results.add(path, owned)
    code, other_code = tracked.parted(files)
    texts = repository.contents(code.values())
    older = tracked.notes({path: texts[blob] for path, blob in code.items() if blob in texts})
    notes = (*older, *results.notes)
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
        stale=bool(older),
        sources=tracked.lock.source_digests(),
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


def _size(cache: Cache, md5: str) -> int | None:
    """The bytes of that content; None if the cache has it not."""
    there = cache.path(md5)
    return None if there is None else there.stat().st_size


def _owned(lock: Lock, cache: Cache) -> Iterator[tuple[str, str]]:
    """The results that DVC owns, by their md5; a folder itself where its list is not there."""
    for path, md5 in sorted(lock.outs.items()):
        if md5.endswith(".dir") and path.startswith("results/"):
            inside = cache.folder(md5)
            if inside is None:
                yield path, md5
            for name, inner in sorted((inside or {}).items()):
                if _is_read(f"{path}/{name}"):
                    yield f"{path}/{name}", inner
        elif _is_read(path):
            yield path, md5
