"""How a snapshot came about: of each stage the newest run of the ledger that gave these results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from geocore.report.lockfile import Lock, is_code
from geocore.report.seeds import is_seed
from geocore.report.snapshot import finite
from geocore.runs.home import ledger_folder
from geocore.runs.ledger import Ledger

__all__ = ["record_of_results", "record_of_run", "record_until"]

_TAKEN = (
    "run", "state", "study", "started", "ended", "wall_seconds", "cpu_seconds", "peak_rss_mib",
    "device", "threads", "error", "resumed_from",
)  # fmt: skip
_MACHINE = ("host", "platform", "python", "libraries", "requirements_lock")
_CODE = ("commit", "dirty", "digest")


def record_of_results(root: Path, given: Mapping[str, str], lock: Lock) -> dict[str, Any]:
    """Of the runs that gave the files of ``given``, path -> digest by ``geocore.runs.digest``.

    A run counts if each of its files that is in ``given`` has that digest; the runs that gave
    what it read follow. ``{}`` where nothing is known, else ``stages``: stage -> what its run
    asked, spent and gave, and ``lock``: stage -> the ``deps`` (without code) and ``outs`` of
    ``dvc.lock``.
    """
    entries = Ledger(ledger_folder(root), root).runs()
    made = [entry for entry in entries if _gave(entry, given)]
    stages = _with_sources(made, entries)
    locked = {
        name: {
            "deps": {path: md5 for path, md5 in stage.deps.items() if not is_code(path)},
            "outs": dict(stage.outs),
        }
        for name, stage in lock.stages.items()
    }
    return {**({"stages": stages} if stages else {}), **({"lock": locked} if locked else {})}


def record_of_run(root: Path, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Of the run of one stage, and of those that gave what it read."""
    return {"stages": _with_sources([entry], Ledger(ledger_folder(root), root).runs())}


def record_until(root: Path, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Of a run of the whole pipeline: each stage's newest run that began before its end.

    Its own figures stand under ``whole``.
    """
    end = str(entry.get("ended") or entry["started"])
    runs = Ledger(ledger_folder(root), root).runs()
    before = [
        other
        for other in runs
        if not other.get("study") and other["started"] <= end and other["run"] != entry["run"]
    ]
    stages = _with_sources([other for other in before if _mapping(other, "outs")], ())
    return {"whole": _told(entry), **({"stages": stages} if stages else {})}


def _gave(entry: Mapping[str, Any], given: Mapping[str, str]) -> bool:
    outs = {path: digest for path, digest in _mapping(entry, "outs").items() if path in given}
    same = all(given[path] == digest for path, digest in outs.items())
    return bool(outs) and same and not entry.get("study")


def _with_sources(
    made: Iterable[Mapping[str, Any]], entries: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """Stage -> its record, of the first run of each in ``made`` and of those they read from."""
    givers: dict[str, Mapping[str, Any]] = {}
    for entry in entries:  # the newest first
        for digest in _mapping(entry, "outs").values():
            givers.setdefault(str(digest), entry)
    found: dict[str, dict[str, Any]] = {}
    waiting, seen = list(made), set()
    home = waiting[0].get("study") if waiting else ""
    for entry in waiting:
        elsewhere = entry.get("study") != home and entry.get("study")
        name = f"{entry['stage']} of {entry['study']}" if elsewhere else str(entry["stage"])
        if name not in found:
            found[name] = _told(entry)
            new = [d for d in map(str, _mapping(entry, "inputs").values()) if d not in seen]
            seen.update(new)
            waiting += [givers[digest] for digest in new if digest in givers]
    return dict(sorted(found.items(), key=lambda pair: str(pair[1].get("started", ""))))


def _told(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What an entry says of one run, in plain JSON; what it does not say is left out."""
    machine, code = _mapping(entry, "environment"), _mapping(entry, "code")
    pieces = Counter(str(how) for how in _mapping(entry, "pieces").values())
    told = {
        **_chosen(entry, _TAKEN),
        **_chosen(machine, _MACHINE),
        **{f"code_{key}" if key == "digest" else key: v for key, v in _chosen(code, _CODE).items()},
        "pieces": dict(sorted(pieces.items())),
        "seeds": {leaf: v for leaf, v in _mapping(entry, "params").items() if is_seed(leaf)},
        "inputs": _mapping(entry, "inputs"),
        "outs": _mapping(entry, "outs"),
    }
    plain: dict[str, Any] = finite({key: value for key, value in told.items() if value != {}})
    return plain


def _chosen(entry: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: entry[key] for key in keys if entry.get(key) not in (None, "")}


def _mapping(entry: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = entry.get(key)
    return dict(value) if isinstance(value, Mapping) else {}
