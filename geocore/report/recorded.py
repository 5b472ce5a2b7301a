"""A run of the ledger as a snapshot: of the whole pipeline, or of the one stage that it ran."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from geocore.report.lockfile import Cache
from geocore.report.provenance import record_of_run, record_until
from geocore.report.results import TABLE_LIMIT, Results, is_data, is_result, is_table
from geocore.report.snapshot import Snapshot
from geocore.report.tracked import some
from geocore.runs.home import ledger_folder, store_folder
from geocore.runs.ledger import Ledger
from geocore.runs.store import Store

__all__ = ["GEOCORE", "UNPLACED", "recorded_snapshot", "statements", "with_pictures"]

GEOCORE = "geocore"  # the kind of digests by geocore.runs.digest
UNPLACED = "input "  # before the name of an input of which nobody knows where it lies


def recorded_snapshot(root: Path, name: str, entry: Mapping[str, Any]) -> Snapshot:
    """The snapshot that a run noted, or what the ledger and the store know of its one stage."""
    about = f"run {entry['run']}, {entry['state']}"
    if "snapshot" in entry:
        whole = Snapshot.from_json(str(entry["run"]), entry["snapshot"])
        record = record_until(root, entry)
        return replace(
            with_pictures(root, whole), name=name, kind="run", about=about, record=record
        )
    stage, study = str(entry["stage"]), entry.get("study")
    code = entry.get("code") or {}
    closure, commit = _mapping(code, "closure"), code.get("commit")
    results, notes = _results(root, entry)
    measured = stage if results is not None else f"nothing of {stage}"
    return Snapshot(
        name=name,
        kind="run",
        commit=commit if isinstance(commit, str) else None,
        about=about,
        params=dict(entry.get("params") or {}),
        metrics={} if results is None else results.metrics,
        gates={} if results is None else results.gates,
        code=closure,
        data=_data(root, entry),
        sources=_mapping(entry, "inputs"),
        curves={} if results is None else results.curves,
        pictures={} if results is None else results.pictures,
        tables={} if results is None else results.tables,
        record=record_of_run(root, entry),
        notes=notes,
        dirty=code.get("dirty") is True,
        study=study if isinstance(study, str) else "",
        unread=None,
        code_kind=statements(closure),
        data_kind=GEOCORE,
        scopes={
            "params": stage,
            "metrics": measured,
            "gates": measured,
            "code": stage,
            "data": stage,
        },
    )


def with_pictures(root: Path, snapshot: Snapshot) -> Snapshot:
    """The snapshot with those of its ``unread`` files that DVC's cache has; a line on others.

    They are its pictures, and tables of up to 8 MiB.
    """
    if snapshot.unread is None:
        return replace(snapshot, notes=(*snapshot.notes, "which pictures it had is not recorded"))
    cache = Cache(root)
    found = {path: cache.read(md5) for path, md5 in snapshot.unread.items()}
    there = {path: content for path, content in found.items() if content is not None}
    pictures = {path: content for path, content in there.items() if path.endswith(".png")}
    tables = {path: content for path, content in there.items() if path not in pictures}
    lost = {path: md5 for path, md5 in snapshot.unread.items() if path not in there}
    told = f"no longer in DVC's cache here: {some(sorted(lost))}"
    return replace(
        snapshot,
        pictures={**snapshot.pictures, **pictures},
        tables={**snapshot.tables, **tables},
        unread=lost,
        notes=(*snapshot.notes, told) if lost else snapshot.notes,
    )


def statements(closure: Mapping[str, str]) -> str:
    """The kind of a closure's digests: modules by their statements, as that code digests them."""
    makers = [closure.get(f"geocore.runs.{name}", "") for name in ("closure", "source")]
    return " ".join(["statements", *makers])


def _results(root: Path, entry: Mapping[str, Any]) -> tuple[Results | None, tuple[str, ...]]:
    """What the run measured, from its piece; None and a line if there is none."""
    key = entry.get("key")
    if key is None or key not in (entry.get("pieces") or ()):
        return None, ("this run kept no results: no metrics, curves or pictures",)
    try:
        piece = Store(store_folder(root)).find(key)
    except ValueError:
        piece = None  # no key at all
    if piece is None:
        return None, ("its piece is no longer in the store: no metrics, curves or pictures",)
    results = Results(str(entry["run"]))
    for path in sorted(piece.folder.rglob("*")):
        name = f"results/{entry['stage']}/{path.relative_to(piece.folder).as_posix()}"
        small = is_table(name) and path.stat().st_size <= TABLE_LIMIT
        if (is_result(name) or small) and path.is_file():
            results.add(name, path.read_bytes())
        elif is_table(name) and path.is_file():
            results.pass_over(name, path.stat().st_size)
    return results, results.notes


def _data(root: Path, entry: Mapping[str, Any]) -> dict[str, str]:
    """Path -> digest of what the run read and gave.

    The entry knows its inputs by name. Where they lie is told by the run that gave them.
    """
    given = {
        digest: path
        for other in Ledger(ledger_folder(root), root).runs()
        for path, digest in _mapping(other, "outs").items()
    }
    inputs = {
        given.get(digest, f"{UNPLACED}{name}"): digest
        for name, digest in _mapping(entry, "inputs").items()
    }
    both = {**inputs, **_mapping(entry, "outs")}
    return {path: digest for path, digest in sorted(both.items()) if is_data(path)}


def _mapping(entry: Mapping[str, Any], key: str) -> dict[str, Any]:
    """What an entry has under a key, if it is the mapping to text that it should be."""
    value = entry.get(key)
    fits = isinstance(value, Mapping) and all(isinstance(v, str) for v in value.values())
    return dict(value) if fits and value is not None else {}
