"""The working tree, as it lies now, as a snapshot."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from geocore.errors import UserError
from geocore.report.lockfile import CODE, is_code
from geocore.report.provenance import record_of_results
from geocore.report.repository import Repository
from geocore.report.results import TABLE_LIMIT, Results, is_data, is_result, is_table
from geocore.report.snapshot import Snapshot
from geocore.report.tracked import ALWAYS, Tracked, listed_md5

__all__ = ["WORKSPACE", "workspace_snapshot"]

WORKSPACE = "workspace"


def workspace_snapshot(root: Path) -> Snapshot:
    """The files below ``root`` as they lie now.

    What a stage gave goes by the digests of ``dvc.lock``; data that none makes is digested anew.
    """
    repository = Repository(root)
    tracked = Tracked.of(WORKSPACE, _content(root / "params.yaml"), _content(root / "dvc.lock"))
    results = Results(WORKSPACE)
    for path in sorted((root / "results").rglob("*")):
        name = path.relative_to(root).as_posix()
        if _is_read(name, path):
            results.add(name, path.read_bytes())
    present = repository.hashes(repository.present([*CODE, *ALWAYS]))
    code, other_code = tracked.parted(present)
    texts = {path: (root / path).read_bytes() for path in code}
    commit = repository.commit("HEAD")
    sources = _sources(repository, tracked.lock.sources())
    now = {**tracked.data(), **sources}
    unknown = ("no git repository here: which code it stands for is not known",)
    return Snapshot(
        name=WORKSPACE,
        kind="workspace",
        commit=commit,
        dirty=commit is not None and _code(repository.files(commit)) != _code(present),
        about="the files as they lie now",
        params=tracked.params,
        metrics=results.metrics,
        gates=results.gates,
        code=code,
        data={path: md5 for path, md5 in sorted(now.items()) if md5 is not None and is_data(path)},
        curves=results.curves,
        pictures=results.pictures,
        tables=results.tables,
        record=record_of_results(root, results.digests, tracked.lock),
        notes=tracked.notes(texts, sources) if present else unknown,
        other_code=other_code if present else None,
    )


def _is_read(name: str, path: Path) -> bool:
    if is_table(name):
        return path.is_file() and path.stat().st_size <= TABLE_LIMIT
    return is_result(name) and path.is_file()


def _code(files: Mapping[str, str]) -> dict[str, str]:
    return {path: blob for path, blob in files.items() if path in ALWAYS or is_code(path)}


def _sources(repository: Repository, paths: Iterable[str]) -> dict[str, str | None]:
    """Path -> the digest that DVC would give what lies there now, None if nothing does.

    A path of which that cannot be told is left out.
    """
    found: dict[str, str | None] = {}
    for path in paths:
        target = repository.root / path
        if target.is_symlink():
            continue  # DVC follows it, git does not
        if not target.is_dir():
            found[path] = _md5(target) if target.is_file() else None
            continue
        inside = repository.unignored(path, ".dvcignore")
        if inside is not None:
            names = {name.removeprefix(f"{path}/"): repository.root / name for name in inside}
            found[path] = listed_md5({name: _md5(file) for name, file in names.items()})
    return found


def _md5(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, _new_md5).hexdigest()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; expected a file to read") from None


def _new_md5() -> hashlib._Hash:
    return hashlib.md5(usedforsecurity=False)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path.name}: {error.strerror}; expected a file to read") from None
