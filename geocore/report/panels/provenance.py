"""The provenance drawer: where the results of each run came from, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geocore.report.panels.fragment import Owner, fragment, owners
from geocore.report.panels.graph import STATES, Drawing, draw, edges_of, in_order, state_of
from geocore.report.seeds import is_seed
from geocore.report.snapshot import Snapshot
from geocore.report.words import figure, shown
from geocore.runs.digest import digest_json

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["provenance_panel"]

_DIGITS = 12  # of a digest where others need not be told from it
_DIGESTS = ("commit", "requirements_lock")
_MACHINE = ("host", "platform", "python", "device")


@dataclass(frozen=True)
class _Stage:
    """A row of a run's tasks, in words; ``part`` is its share of the longest one's time."""

    name: str
    run: str
    state: str
    words: str
    made: str
    found: str
    wall: str
    part: float
    memory: str
    machine: str
    code: str
    seeds: str
    reads: str
    error: str


@dataclass(frozen=True)
class _Digests:
    """A list of files and digests: how many, the digest of all, the lines.

    ``other`` is an earlier run with a like list: the lines are then what is not as there.
    """

    what: str
    count: int
    whole: str
    lines: tuple[str, ...]
    other: str


@dataclass(frozen=True)
class _Drawer:
    """All of one run; ``lost`` are the stages that no run is known of."""

    owner: Owner
    facts: tuple[tuple[str, str], ...]
    stages: tuple[_Stage, ...]
    total: str
    digests: tuple[_Digests, ...]
    dag: Drawing | None
    lost: str


def provenance_panel(snapshots: Sequence[Snapshot]) -> Markup:
    """A drawer for each run: commit, digests, machine, seeds, cache hits, costs, and the DAG.

    Of a list of digests the first run shows all, a later one what is not as there. ``''`` where
    nothing is known of any run.
    """
    drawers = []
    lists: dict[str, tuple[str, Mapping[str, str]]] = {}
    for owner, snapshot in zip(owners(snapshots), snapshots, strict=True):
        record = snapshot.record
        if not (snapshot.commit or snapshot.code or snapshot.data or record):
            continue
        edges = edges_of(record)
        stages = _mapping(record.get("stages"))
        told = {name: stages[name] for name in in_order(edges) if name in stages}
        told |= _whole(record)
        states = {name: state_of(_mapping(told.get(name))) for name in {**edges, **told}}
        drawers.append(
            _Drawer(
                owner,
                tuple(_facts(snapshot, told)),
                tuple(_stages(told, edges, states)),
                _total(told),
                tuple(_digests(owner, snapshot, lists)),
                draw(edges, states),
                ", ".join(name for name in edges if name not in told) if told else "",
            )
        )
    present = {node.state for drawer in drawers if drawer.dag for node in drawer.dag.nodes}
    return fragment(
        "provenance",
        drawers=drawers,
        states=[(state, words) for state, words in STATES.items() if state in present],
    )


def _whole(record: Mapping[str, Any]) -> dict[str, Any]:
    """The run of the whole pipeline, if it is one."""
    whole = _mapping(record.get("whole"))
    return {"all of it": whole} if whole else {}


def _facts(snapshot: Snapshot, told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is said once for a run: where stages differ, each value."""
    changed = ", with changes that were not committed" if snapshot.dirty else ""
    facts = [("commit", f"{snapshot.commit or 'none'}{changed}")]
    others = _distinct(told, "commit", {snapshot.commit})
    if others:
        facts.append(("commits of the stages' runs", others))
    for key, words in (("requirements_lock", "environment lock"), *((k, k) for k in _MACHINE)):
        if values := _distinct(told, key, set()):
            facts.append((words, values))
    libraries = {
        f"{name} {_text(version)}"
        for stage in told.values()
        for name, version in _mapping(_mapping(stage).get("libraries")).items()
    }
    if libraries:
        facts.append(("libraries", ", ".join(sorted(libraries))))
    seeds = {leaf: v for stage in told.values() for leaf, v in _seeds(stage).items()}
    seeds |= {leaf: v for leaf, v in snapshot.params.items() if is_seed(leaf)}
    if seeds:
        facts.append(("seeds", _listed(seeds)))
    return facts


def _stages(
    told: Mapping[str, Any], edges: Mapping[str, Sequence[str]], states: Mapping[str, str]
) -> list[_Stage]:
    longest = max(
        (_number(_mapping(s).get("wall_seconds")) or 0.0 for s in told.values()), default=0
    )
    rows = []
    for name, value in told.items():
        stage = _mapping(value)
        pieces = _mapping(stage.get("pieces"))
        wall, memory = _number(stage.get("wall_seconds")), _number(stage.get("peak_rss_mib"))
        threads = _number(stage.get("threads"))
        device = str(stage.get("device") or "")
        rows.append(
            _Stage(
                name=name,
                run=str(stage.get("run") or ""),
                state=states[name],
                words=STATES[states[name]],
                made=_count(pieces.get("made")),
                found=_count(pieces.get("found")),
                wall=_duration(wall),
                part=(wall or 0.0) / longest if longest else 0.0,
                memory="–" if memory is None else f"{figure(round(memory))} MiB",
                machine=", ".join(
                    filter(
                        None,
                        (
                            device,
                            ""
                            if threads is None
                            else f"{figure(threads)} thread{'s' * (threads != 1)}",
                        ),
                    )
                ),
                code=str(stage.get("code_digest") or "")[:_DIGITS],
                seeds=_listed(_seeds(stage)),
                reads=", ".join(edges.get(name, ())),
                error=str(stage.get("error") or ""),
            )
        )
    return rows


def _digests(
    owner: Owner, snapshot: Snapshot, lists: dict[str, tuple[str, Mapping[str, str]]]
) -> list[_Digests]:
    """Data and code; ``lists`` remembers who had the first list of each kind."""
    found = []
    about = {"dvc": "dvc.lock, files as they lie", "files": "files of code"}
    for kind, files in ((snapshot.data_kind, snapshot.data), (snapshot.code_kind, snapshot.code)):
        if not files:
            continue
        data = files is snapshot.data
        what = about.get(kind, f"{'data' if data else 'code'}, {kind}")
        whole = digest_json({str(path): str(digest) for path, digest in files.items()})[:_DIGITS]
        first = what not in lists
        other, known = lists.setdefault(what, (owner.name, files))
        paths = sorted(path for path in {**files, **known} if not _same(path, files, known))
        apart = first or len(paths) > len(files)  # then the list itself is shorter
        paths = sorted(files) if apart else paths
        lines = tuple(f"{files.get(path, 'not there')}  {path}" for path in paths)
        found.append(_Digests(what, len(files), whole, lines, "" if apart else other))
    return found


def _same(path: str, files: Mapping[str, str], known: Mapping[str, str]) -> bool:
    return path in files and path in known and files[path] == known[path]


def _total(told: Mapping[str, Any]) -> str:
    """Pieces and time of all stages but the run around them."""
    stages = [_mapping(stage) for name, stage in told.items() if name != "all of it"]
    if not stages:
        return ""
    walls = [wall for s in stages if (wall := _number(s.get("wall_seconds"))) is not None]
    made, found = (
        sum(round(_number(_mapping(s.get("pieces")).get(how)) or 0.0) for s in stages)
        for how in ("made", "found")
    )
    hits = f"{found} of {made + found} pieces found in the store" if made + found else "no pieces"
    return f"{len(stages)} stages, {_duration(math.fsum(walls))}, {hits}"


def _distinct(told: Mapping[str, Any], key: str, known: set[str | None]) -> str:
    """The values of ``key`` that are not ``known``; with whose they are, where there are many."""
    found: dict[str, list[str]] = {}
    for name, stage in told.items():
        value = _mapping(stage).get(key)
        if value not in (None, "") and value not in known:
            text = _text(value)[:_DIGITS] if key in _DIGESTS else _text(value)
            found.setdefault(text, []).append(name)
    if len(found) == 1:
        return next(iter(found))
    return "; ".join(f"{value} ({', '.join(names)})" for value, names in found.items())


def _seeds(stage: Any) -> dict[str, Any]:
    return _mapping(_mapping(stage).get("seeds"))


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {shown(value)}" for name, value in sorted(values.items()))


def _text(value: Any) -> str:
    """A version or a name as it is, anything else as a parameter would be shown."""
    return value if isinstance(value, str) else shown(value)


def _count(value: Any) -> str:
    number = _number(value)
    return "0" if number is None else figure(round(number))


def _duration(seconds: float | None) -> str:
    """``0.4 s``, ``3 min 20 s``, ``2 h 05 min``."""
    if seconds is None:
        return "–"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def _number(value: Any) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and math.isfinite(value) and abs(value) < 1e15 else None


def _mapping(value: Any) -> dict[str, Any]:
    return {str(key): entry for key, entry in value.items()} if isinstance(value, Mapping) else {}
