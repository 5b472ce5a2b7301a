"""The working tree, as it lies now, as a snapshot."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from geocore.errors import UserError
from geocore.report.lockfile import CODE, is_code
from geocore.report.pipeline_of import PINS, own_name, tree_of
from geocore.report.provenance import record_of_results
from geocore.report.repository import Repository
from geocore.report.results import TABLE_LIMIT, Results, is_data, is_result, is_table
from geocore.report.snapshot import Snapshot
from geocore.report.tracked import ALWAYS, Tracked, listed_md5

__all__ = ["WORKSPACE", "workspace_snapshot"]

WORKSPACE = "workspace"


def workspace_snapshot(root: Path, name: str = WORKSPACE, study: str = "") -> Snapshot:
    """The files below ``root`` as they lie now, of its pipeline or of that in the folder ``study``.

    What a stage gave goes by the digests of ``dvc.lock``; data that none makes is digested anew.
    """
    repository, own = Repository(root), root / study
    params, lock = (_content(own / file) for file in ("params.yaml", "dvc.lock"))
    whole = Tracked.of(name, params, lock)
    tracked = whole.within(study)
    results = Results(name)
    for path in sorted((own / "results").rglob("*")):
        place = path.relative_to(own).as_posix()
        if not path.is_file():
            continue
        if is_table(place) and path.stat().st_size > TABLE_LIMIT:
            results.pass_over(place, path.stat().st_size)
        elif is_table(place) or is_result(place):
            results.add(place, path.read_bytes())
    pipeline = f"{study}/dvc.yaml" if study else "dvc.yaml"
    hashes = repository.hashes(repository.present([*CODE, PINS, pipeline]))
    present = tree_of(hashes, study)
    code, other_code = tracked.parted(present)
    texts = {
        path: (own if path == "dvc.yaml" else root).joinpath(path).read_bytes() for path in code
    }
    commit = repository.commit("HEAD")
    sources = _sources(repository, whole.lock.sources(), study)
    now = {**tracked.data(), **sources}
    unknown = ("no git repository here: which code it stands for is not known",)
    older = tracked.notes(texts, sources) if present else unknown
    then = {} if commit is None else _code(tree_of(repository.files(commit), study))
    return Snapshot(
        name=name,
        kind="workspace",
        commit=commit,
        dirty=commit is not None and then != _code(present),
        about="the files as they lie now",
        params=tracked.params,
        metrics=results.metrics,
        gates=results.gates,
        code=code,
        data={path: md5 for path, md5 in sorted(now.items()) if md5 is not None and is_data(path)},
        curves=results.curves,
        pictures=results.pictures,
        tables=results.tables,
        record=record_of_results(root, results.digests, tracked.lock, study=study),
        notes=(*older, *results.notes),
        other_code=other_code if present else None,
        stale=bool(older),
        sources=tracked.lock.source_digests(),
        study=study,
    )


def _code(files: Mapping[str, str]) -> dict[str, str]:
    return {path: blob for path, blob in files.items() if path in ALWAYS or is_code(path)}


def _sources(repository: Repository, paths: Iterable[str], study: str) -> dict[str, str | None]:
    """Path -> the digest that DVC would give what lies there now, None if nothing does.

    A path of which that cannot be told is left out, and so is what another study makes.
    """
    found: dict[str, str | None] = {}
    for path in paths:
        target, name = repository.root / path, own_name(path, study)
        if target.is_symlink() or (study and name.startswith("studies/")):
            continue  # a link DVC follows and git does not
        if not target.is_dir():
            found[name] = _md5(target) if target.is_file() else None
            continue
        inside = repository.unignored(path, ".dvcignore")
        if inside is not None:
            names = {file.removeprefix(f"{path}/"): repository.root / file for file in inside}
            found[name] = listed_md5({file: _md5(there) for file, there in names.items()})
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
