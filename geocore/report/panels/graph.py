"""Stages and what they hand on, drawn from left to right: layers, orders, curved edges.

The edges are told by what was recorded: a stage reads what another gave if the path is the same,
or lies inside it (``dvc.lock``), or if the digest is the same (the ledger).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

__all__ = ["STATES", "Drawing", "Node", "draw", "edges_of", "in_order", "state_of"]

# State of a stage's run -> what it says.
STATES = {
    "made": "computed",
    "found": "found in the store",
    "running": "under way",
    "failed": "failed",
    "unknown": "not recorded",
}
_BOX, _TALL = 124.0, 42.0
_COLUMN, _GAP, _BEND, _EDGE = 164.0, 16.0, 4.0, 10.0
_LONGEST = 17  # letters of a name in its box
_LONGEST_STATE = 21  # of the smaller ones below it
_SWEEPS = 6  # over the layers, to put each node beside its neighbours
_MOST = 80  # stages, beyond which nothing could be read

Edges = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Node:
    """A stage in its box: the corner, its name, its state."""

    name: str
    shown: str
    state: str
    words: str
    x: float
    y: float


@dataclass(frozen=True)
class Drawing:
    """The whole of it; ``arrows`` are (from, to, path)."""

    width: float
    height: float
    nodes: tuple[Node, ...]
    arrows: tuple[tuple[str, str, str], ...]
    box: tuple[float, float] = (_BOX, _TALL)


def state_of(stage: Mapping[str, Any] | None) -> str:
    """One of ``STATES``: what a stage's record says of how its results came about.

    Found: every piece of its work lay in the store. Made: any was computed, or it keeps none.
    """
    if not stage:
        return "unknown"
    state = stage.get("state")
    if state in ("failed", "died"):
        return "failed"
    if state == "running":
        return "running"
    if state != "done":
        return "unknown"
    pieces = _mapping(stage, "pieces")
    return "found" if pieces.get("found") and not pieces.get("made") else "made"


def edges_of(record: Mapping[str, Any]) -> dict[str, list[str]]:
    """Stage -> the stages that it reads from, of all that ``record`` names.

    ``record`` is a snapshot's (``geocore.report.provenance``). Digests tell where a stage is in no
    lock: equal small files of two stages would otherwise be taken for each other.
    """
    stages, lock = _mapping(record, "stages"), _mapping(record, "lock")
    names = list(dict.fromkeys([*lock, *stages]))
    found: dict[str, list[str]] = {}
    for name in names:
        found[name] = [
            other
            for other in names
            if other != name
            and (
                _within(_mapping(lock[name], "deps"), _mapping(lock[other], "outs"))
                if name in lock and other in lock
                else _handed(stages.get(name), stages.get(other))
            )
        ]
    return found


def draw(edges: Edges, states: Mapping[str, str]) -> Drawing | None:
    """A place for each stage of ``edges`` (stage -> those that it reads from), a curve for each.

    A stage stands right of all that it reads from; an edge that would close a circle is left out.
    None for no stage, and for more than can be read. Equal input gives an equal drawing.
    """
    if not edges or len(edges) > _MOST:
        return None
    layer = _layers(edges)
    kept = [
        (source, target)
        for target, sources in edges.items()
        for source in sources
        if source in layer and layer[source] < layer[target]
    ]
    chains = {edge: _chain(edge, layer) for edge in kept}
    columns = _ordered(layer, chains)
    tallest = max(map(_height, columns))
    at: dict[Any, tuple[float, float]] = {}
    for number, column in enumerate(columns):
        down = _EDGE + (tallest - _height(column)) / 2
        for one in column:
            # A bend of an edge has its middle where a box of its height would have it.
            lift = 0.0 if isinstance(one, str) else (_TALL - _BEND) / 2
            at[one] = (_EDGE + number * _COLUMN, round(down - lift, 1))
            down += (_TALL if isinstance(one, str) else _BEND) + _GAP
    return Drawing(
        width=2 * _EDGE + (len(columns) - 1) * _COLUMN + _BOX,
        height=2 * _EDGE + tallest,
        nodes=tuple(_node(name, states.get(name, "unknown"), at[name]) for name in edges),
        arrows=tuple((*edge, _curve([at[one] for one in chains[edge]])) for edge in kept),
    )


def _height(column: Sequence[Any]) -> float:
    """Of boxes and bends, one below the other."""
    boxes = sum(isinstance(one, str) for one in column)
    return boxes * _TALL + (len(column) - boxes) * _BEND + (len(column) - 1) * _GAP


def in_order(edges: Edges) -> list[str]:
    """The stages, each behind those that it reads from; as they came where that leaves a choice."""
    layer = _layers(edges)
    return sorted(layer, key=layer.__getitem__)


def _node(name: str, state: str, corner: tuple[float, float]) -> Node:
    """Of ``train of studies/x/cnn`` the stage, and below it ``cnn`` beside the state."""
    stage, _, elsewhere = name.partition(" of ")
    folder = elsewhere.rpartition("/")[2]
    words = f"{STATES[state]}, {folder}" if folder else STATES[state]
    return Node(name, _cut(stage, _LONGEST), state, _cut(words, _LONGEST_STATE), *corner)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _layers(edges: Edges) -> dict[str, int]:
    """How many stages at most lie before each; what goes round in circles comes last."""
    layer: dict[str, int] = {}
    waiting = list(edges)
    while waiting:
        ready = [n for n in waiting if all(s in layer or s not in edges for s in edges[n])]
        chosen = ready or waiting[:1]
        for name in chosen:
            layer[name] = 1 + max((layer[s] for s in edges[name] if s in layer), default=-1)
        waiting = [name for name in waiting if name not in layer]
    return layer


def _chain(edge: tuple[str, str], layer: Mapping[str, int]) -> list[Any]:
    """The edge's way: its ends, and a place in each layer between them."""
    source, target = edge
    between = [(source, target, n) for n in range(layer[source] + 1, layer[target])]
    return [source, *between, target]


def _ordered(
    layer: Mapping[str, int], chains: Mapping[tuple[str, str], Sequence[Any]]
) -> list[list[Any]]:
    """Each layer from top to bottom: by the mean place of the neighbours, there and back."""
    columns: list[list[Any]] = [[] for _ in range(max(layer.values()) + 1)]
    for name, number in layer.items():
        columns[number].append(name)
    before: dict[Any, list[Any]] = {}
    behind: dict[Any, list[Any]] = {}
    for chain in chains.values():
        for one in chain[1:-1]:
            columns[one[2]].append(one)
        for first, second in pairwise(chain):
            before.setdefault(second, []).append(first)
            behind.setdefault(first, []).append(second)
    for sweep in range(_SWEEPS):
        forth = sweep % 2 == 0
        for column in columns if forth else reversed(columns):
            _sort(column, before if forth else behind, columns)
    return columns


def _sort(
    column: list[Any], neighbours: Mapping[Any, Sequence[Any]], columns: Iterable[Sequence[Any]]
) -> None:
    """By the mean of the neighbours' places, each counted from the middle of its layer."""
    place = {one: row - (len(other) - 1) / 2 for other in columns for row, one in enumerate(other)}
    wish = {}
    for one in column:
        near = [place[other] for other in neighbours.get(one, ())]
        wish[one] = sum(near) / len(near) if near else place[one]
    column.sort(key=wish.__getitem__)  # stable: equal wishes keep their order


def _curve(corners: Sequence[tuple[float, float]]) -> str:
    """From the right side of the first box to the left side of the last, level at both ends."""
    (x, y), *others = corners
    x, y = x + _BOX, y + _TALL / 2
    path = f"M{x} {y}"
    for number, (left, top) in enumerate(others):
        middle, bend = top + _TALL / 2, (left - x) / 2
        path += f"C{x + bend} {y} {left - bend} {middle} {left} {middle}"
        x, y = left, middle
        if number < len(others) - 1:
            x += _BOX
            path += f"H{x}"
    return path


def _within(deps: Mapping[str, Any], outs: Mapping[str, Any]) -> bool:
    return any(
        path == out or path.startswith(f"{out}/") or out.startswith(f"{path}/")
        for path in deps
        for out in outs
    )


def _handed(reader: Any, giver: Any) -> bool:
    read = {str(digest) for digest in _mapping(reader, "inputs").values()}
    return any(str(digest) in read for digest in _mapping(giver, "outs").values())


def _mapping(value: Any, key: str) -> dict[str, Any]:
    inner = value.get(key) if isinstance(value, Mapping) else None
    return {str(name): entry for name, entry in inner.items()} if isinstance(inner, Mapping) else {}
