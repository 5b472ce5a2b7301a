"""A commit as a snapshot: what git has of it, and from DVC's cache what DVC has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from geocore.report.lockfile import Cache, Lock
from geocore.report.repository import Repository
from geocore.report.results import Results, is_result
from geocore.report.snapshot import Snapshot
from geocore.report.tracked import Tracked, some

__all__ = ["revision_snapshot"]


def revision_snapshot(
    root: Path, name: str, commit: str, kind: Literal["revision", "experiment"] = "revision"
) -> Snapshot:
    """What the commit holds below ``root``; what is in no cache here is left out and said."""
    repository = Repository(root)
    files = repository.files(commit)
    wanted = [path for path in files if is_result(path) or path in ("params.yaml", "dvc.lock")]
    contents = repository.contents(files[path] for path in wanted)
    held = {path: contents[files[path]] for path in wanted if files[path] in contents}
    tracked = Tracked.of(name, held.get("params.yaml"), held.get("dvc.lock"))
    results, absent = Results(name), []
    for path, content in held.items():
        if is_result(path):
            results.add(path, content)
    for path, owned in _owned(tracked.lock, Cache(root)):
        if owned is not None and path not in held:
            results.add(path, owned)
        elif owned is None and path not in held:
            absent.append(path)
    code = {path: blob for path, blob in files.items() if tracked.is_code(path)}
    texts = repository.contents(code.values())
    notes = tracked.notes({path: texts[blob] for path, blob in code.items() if blob in texts})
    if absent:
        notes = (*notes, f"not in DVC's cache here (dvc pull brings them): {some(absent)}")
    return Snapshot(
        name=name,
        kind=kind,
        commit=commit,
        about=repository.subject(commit),
        params=tracked.params,
        metrics=results.metrics,
        gates=results.gates,
        code=code,
        data=tracked.data(),
        curves=results.curves,
        pictures=results.pictures,
        notes=notes,
    )


def _owned(lock: Lock, cache: Cache) -> Iterator[tuple[str, bytes | None]]:
    """The results that DVC owns, with None for what its cache has not."""
    for path, md5 in sorted(lock.outs.items()):
        if md5.endswith(".dir") and path.startswith("results/"):
            inside = cache.folder(md5)
            if inside is None:
                yield path, None
            for name, inner in sorted((inside or {}).items()):
                if is_result(f"{path}/{name}"):
                    yield f"{path}/{name}", cache.read(inner)
        elif is_result(path):
            yield path, cache.read(md5)
