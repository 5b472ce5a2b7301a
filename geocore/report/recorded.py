"""A run of the ledger as a snapshot: of the whole pipeline, or of the one stage that it ran."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from geocore.report.results import Results, is_data, is_result
from geocore.report.snapshot import Snapshot
from geocore.runs.home import ledger_folder, store_folder
from geocore.runs.ledger import Ledger
from geocore.runs.store import Store

__all__ = ["GEOCORE", "UNPLACED", "recorded_snapshot", "statements"]

GEOCORE = "geocore"  # the kind of digests by geocore.runs.digest
UNPLACED = "input "  # before the name of an input of which nobody knows where it lies


def recorded_snapshot(root: Path, name: str, entry: Mapping[str, Any]) -> Snapshot:
    """The snapshot that a run noted, or what the ledger and the store know of its one stage."""
    about = f"run {entry['run']}, {entry['state']}"
    if "snapshot" in entry:
        whole = Snapshot.from_json(str(entry["run"]), entry["snapshot"])
        return replace(whole, name=name, kind="run", about=about)
    stage = str(entry["stage"])
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
        curves={} if results is None else results.curves,
        pictures={} if results is None else results.pictures,
        notes=notes,
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


def statements(closure: Mapping[str, str]) -> str:
    """The kind of a closure's digests: modules by their statements, as that code digests them."""
    makers = [closure.get(f"geocore.runs.{name}", "") for name in ("closure", "source")]
    return " ".join(["statements", *makers])


def _results(root: Path, entry: Mapping[str, Any]) -> tuple[Results | None, tuple[str, ...]]:
    """What the run measured, from its piece; None and a line if the store has it no more."""
    key = entry.get("key")
    try:
        piece = None if key is None else Store(store_folder(root)).find(key)
    except ValueError:
        piece = None  # no key at all
    if piece is None:
        return None, ("its piece is no longer in the store: no metrics, curves or pictures",)
    results = Results(str(entry["run"]))
    for path in sorted(piece.folder.rglob("*")):
        name = f"results/{entry['stage']}/{path.relative_to(piece.folder).as_posix()}"
        if is_result(name) and path.is_file():
            results.add(name, path.read_bytes())
    return results, ()


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
