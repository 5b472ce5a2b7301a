"""How a snapshot came about: of each stage the run of the ledger that gave these results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from geocore.report.lockfile import Lock, is_code
from geocore.report.seeds import is_seed
from geocore.report.snapshot import finite
from geocore.runs.home import ledger_folder
from geocore.runs.ledger import Ledger

__all__ = ["record_of_results", "record_of_run", "record_until", "runs_of"]

_TAKEN = (
    "run", "state", "study", "started", "ended", "wall_seconds", "cpu_seconds", "peak_rss_mib",
    "device", "threads", "error", "resumed_from",
)  # fmt: skip
_MACHINE = ("host", "platform", "python", "libraries", "requirements_lock")
_CODE = ("commit", "dirty", "digest")


def record_of_results(
    root: Path,
    given: Mapping[str, str],
    lock: Lock,
    *,
    study: str = "",
    commit: str | None = None,
    until: str = "",
) -> dict[str, Any]:
    """Of the runs that gave the files of ``given``, path -> digest by ``geocore.runs.digest``.

    A run of ``study`` counts if each of its files that is in ``given`` has that digest; the runs
    that gave what it read follow, and of a stage that leaves nothing to compare (``report``,
    ``gate``) the run that read these results. Where several runs of a stage count it is the newest:
    of those recorded at ``commit``, else of those that began by the time ``until``, else of all.
    ``{}`` where nothing is known, else ``stages``: stage -> what its run asked, spent and gave, and
    ``lock``: stage -> the ``deps`` (without code) and ``outs`` of ``dvc.lock``.
    """
    entries = _preferred(Ledger(ledger_folder(root), root).runs(), commit, until)
    made = [entry for entry in entries if _gave(entry, given, study)]
    stages = _with_sources(made, entries)
    stages = _with_readers(stages, entries, lock, given, study)
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
    """Of a run of the whole pipeline: the stages' runs that it noted, which gave its results.

    One that left nothing, as ``gate`` or a stage that failed, counts if the pipeline ran it. Of a
    pipeline that noted none (an earlier version's) it is each stage's newest run that began before
    its end. The pipeline's own figures stand under ``whole``.
    """
    end, noted = str(entry.get("ended") or entry["started"]), entry.get("stage_runs")
    runs = Ledger(ledger_folder(root), root).runs()
    before = [
        other
        for other in runs
        if not _study(other) and other["started"] <= end and other["run"] != entry["run"]
    ]
    own = [other for other in before if other["started"] >= entry["started"]]
    if isinstance(noted, Mapping):
        known = {str(other["run"]): other for other in runs}
        gave = {str(name): known[str(run)] for name, run in noted.items() if str(run) in known}
        last = {str(other["stage"]): other for other in reversed(own)}
        left_nothing = {name: one for name, one in last.items() if not _mapping(one, "outs")}
        stages = _in_time({name: _told(one) for name, one in {**gave, **left_nothing}.items()})
    else:
        since = entry["started"]
        made = [one for one in before if _mapping(one, "outs") or one["started"] >= since]
        stages = _with_sources(made, ())
    return {"whole": _told(entry), **({"stages": stages} if stages else {})}


def runs_of(record: Mapping[str, Any]) -> dict[str, str]:
    """Stage -> the name of its run, of a record: what a run of the whole pipeline notes."""
    return {name: str(stage["run"]) for name, stage in _mapping(record, "stages").items()}


def _preferred(
    entries: Iterable[Mapping[str, Any]], commit: str | None, until: str
) -> list[Mapping[str, Any]]:
    """The entries, which come the newest first: those at the commit, those before it, the rest."""

    def rank(entry: Mapping[str, Any]) -> int:
        code = _mapping(entry, "code")
        if commit is not None and code.get("commit") == commit and code.get("dirty") is not True:
            return 0
        return 1 if str(entry.get("started", "")) <= until else 2

    return sorted(entries, key=rank)  # stable


def _gave(entry: Mapping[str, Any], given: Mapping[str, str], study: str) -> bool:
    outs = {path: digest for path, digest in _mapping(entry, "outs").items() if path in given}
    same = all(given[path] == digest for path, digest in outs.items())
    return bool(outs) and same and _study(entry) == study


def _with_readers(
    stages: dict[str, Any],
    entries: Sequence[Mapping[str, Any]],
    lock: Lock,
    given: Mapping[str, str],
    study: str,
) -> dict[str, Any]:
    """With those stages of the lock that leave nothing to compare and read what is known here."""
    found = dict(stages)
    known = {*given.values(), *(d for stage in stages.values() for d in _given_by(stage))}
    waiting = [
        name
        for name, stage in lock.stages.items()
        if name not in found and all(path.endswith(".html") for path in stage.outs)
    ]
    while waiting:
        for name in waiting:
            entry = next((e for e in entries if _ends(e, name, study, known)), None)
            if entry is not None:
                found[name] = _told(entry)
                known.update(_given_by(found[name]))
        left = [name for name in waiting if name not in found]
        if left == waiting:
            break
        waiting = left
    return found


def _ends(entry: Mapping[str, Any], stage: str, study: str, known: Container[str]) -> bool:
    """Whether it is a run of that stage on results that are known, leaving a page or nothing."""
    read = [str(digest) for digest in _mapping(entry, "inputs").values()]
    pages = all(path.endswith(".html") for path in _mapping(entry, "outs"))
    own = entry.get("stage") == stage and _study(entry) == study
    return own and pages and bool(read) and all(digest in known for digest in read)


def _given_by(stage: Mapping[str, Any]) -> list[str]:
    return [str(digest) for digest in _mapping(stage, "outs").values()]


def _with_sources(
    made: Iterable[Mapping[str, Any]], entries: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """Stage -> its record, of the first run of each in ``made`` and of those they read from.

    What several runs gave, as two networks of one shape give one ``model.json``, is of the one
    whose study is the nearest, and of those the first. A stage elsewhere is ``STAGE of FOLDER``:
    the last word of one above, else the way from the folder that both lie in.
    """
    givers: dict[str, list[Mapping[str, Any]]] = {}
    for entry in entries:
        for digest in _mapping(entry, "outs").values():
            givers.setdefault(str(digest), []).append(entry)
    found: dict[str, Any] = {}
    waiting = list(made)
    seen: set[tuple[str, str]] = set()
    home = _study(waiting[0]) if waiting else ""
    for entry in waiting:
        study = _study(entry)
        elsewhere = f" of {_way(study, home)}" if study != home else ""
        name = f"{entry['stage']}{elsewhere}"
        if name not in found:
            found[name] = _told(entry)
            new = [
                d for d in map(str, _mapping(entry, "inputs").values()) if (study, d) not in seen
            ]
            seen.update((study, digest) for digest in new)
            waiting += [_nearest(givers[digest], study) for digest in new if digest in givers]
    return _in_time(found)


def _in_time(stages: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    return dict(sorted(stages.items(), key=lambda pair: str(pair[1].get("started", ""))))


def _way(study: str, home: str) -> str:
    if not study:
        return "the root"
    if f"{home}/".startswith(f"{study}/"):
        return study.rpartition("/")[2]
    return "/".join(study.split("/")[_shared(study, home) :])


def _nearest(entries: Sequence[Mapping[str, Any]], study: str) -> Mapping[str, Any]:
    """The first of those whose study's folder shares the most with ``study``."""
    return max(entries, key=lambda entry: _shared(study, _study(entry)))


def _shared(study: str, other: str) -> int:
    """How many folders two have in common, from above."""
    parts = zip(study.split("/"), other.split("/"), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], parts))


def _study(entry: Mapping[str, Any]) -> str:
    return str(entry.get("study") or "")


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
