"""Structured pruning: whole filters leave a float graph while its error keeps within a budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from geocore.edge.float_graph import (
    FloatAdd,
    FloatConcatenate,
    FloatConvolution,
    FloatDense,
    FloatGraph,
    FloatWeighted,
)
from geocore.edge.nodes import IMAGES, MaxPool, Node, Upsample

__all__ = ["PrunedFilters", "channel_groups", "prune_filters"]

# Of sums in float64 in another order: no error.
_ROUNDING = 1e-24
Channel = tuple[str, int]
Group = tuple[Channel, ...]


@dataclass(frozen=True)
class PrunedFilters:
    """The smaller graph, how far it is off, and what left: places in the first graph by node."""

    graph: FloatGraph
    error: float
    removed: dict[str, tuple[int, ...]]


def prune_filters(
    graph: FloatGraph, images: Tensor, budget: float, *, tried: int = 4, keep: int = 1
) -> PrunedFilters:
    """Remove filters one at a time while ``sum (y' - y)^2 / sum y^2`` is at most ``budget``.

    ``y`` is what ``graph`` gives of the calibration ``images (n, height, width, channels)`` and
    ``y'`` what the smaller graph does. Filters, and the numbers of dense layers, that are added to
    each other leave together; those of the network's value stay, and ``keep`` of each layer. Which
    is next: of the ``tried`` with the smallest estimate ``sum_r |w_r|^2 mean(a^2)`` of what the
    readers ``r`` of its value ``a`` lose, the one whose removal raises the measured error least;
    if none of them fits the budget, the next ``tried``, until none fits at all. So no further
    filter of the result could leave. All in float64, without any random number.

    Raises ``ValueError`` for a budget below 0, and for images that are none.
    """
    if budget < 0:
        raise ValueError(f"budget is {budget}; expected 0 or more")
    if len(images) == 0 or tried < 1 or keep < 1:
        raise ValueError(
            f"images are {len(images)}, tried {tried} and keep {keep}; expected at least one each"
        )
    images = images.double()
    wanted = graph.run(images)
    scale = float(wanted.square().sum()) or 1.0
    first = {node.name: graph.shapes[node.name][2] for node in graph.weighted}
    places = {node.name: list(range(graph.shapes[node.name][2])) for node in graph.nodes}
    error = 0.0
    while (step := _next(graph, images, (wanted, scale), budget, tried, keep)) is not None:
        error, graph, group = step
        for name in {name for name, _ in group}:
            gone = {channel for owner, channel in group if owner == name}
            places[name] = [place for n, place in enumerate(places[name]) if n not in gone]
    removed = {
        name: tuple(sorted(set(range(channels)) - set(places[name])))
        for name, channels in first.items()
    }
    return PrunedFilters(graph, error, removed)


def channel_groups(graph: FloatGraph) -> list[Group]:
    """Channels that can only leave together, a group each; none of images and the last value.

    Those that a pooling, an upsampling or a concatenation passes on belong to their source's, those
    that are added to each other.
    """
    parents: dict[Channel, Channel] = {}

    def root(channel: Channel) -> Channel:
        while (parent := parents.get(channel, channel)) != channel:
            channel = parent
        return channel

    def tie(one: Channel, two: Channel) -> None:
        parents[root(one)] = root(two)

    for node in graph.nodes:
        first = 0
        for source in node.sources:
            for channel in range(graph.shapes[source][2]):
                if isinstance(node, MaxPool | Upsample | FloatAdd):
                    tie((node.name, channel), (source, channel))
                elif isinstance(node, FloatConcatenate):
                    tie((node.name, first + channel), (source, channel))
            first += graph.shapes[source][2]
    found: dict[Channel, list[Channel]] = {}
    fixed = set()
    for name in (IMAGES, *(node.name for node in graph.nodes)):
        for channel in range(graph.shapes[name][2]):
            end = root((name, channel))
            found.setdefault(end, []).append((name, channel))
            if name in (IMAGES, graph.last):
                fixed.add(end)
    return [tuple(group) for end, group in found.items() if end not in fixed]


Step = tuple[float, FloatGraph, Group]


def _next(
    graph: FloatGraph,
    images: Tensor,
    target: tuple[Tensor, float],
    budget: float,
    tried: int,
    keep: int,
) -> Step | None:
    """The removal that is made next, or none that fits the budget."""
    wanted, scale = target
    groups = [group for group in channel_groups(graph) if _may_leave(graph, group, keep)]
    energies = {
        name: value.square().mean(dim=(0, 1, 2)) for name, value in graph.values(images).items()
    }
    ranked = sorted(groups, key=lambda group: (_estimate(graph, group, energies), group))
    for start in range(0, len(ranked), tried):
        steps: list[Step] = []
        for group in ranked[start : start + tried]:
            smaller = _without(graph, group)
            error = float((smaller.run(images) - wanted).square().sum()) / scale
            steps.append((error, smaller, group))
        best = min(steps, key=lambda step: (step[0], step[2]))
        if best[0] <= budget + _ROUNDING:
            return best
    return None


def _may_leave(graph: FloatGraph, group: Group, keep: int) -> bool:
    """Whether every node keeps enough channels."""
    names = [name for name, _ in group]
    return all(graph.shapes[name][2] - names.count(name) >= keep for name in set(names))


def _estimate(graph: FloatGraph, group: Group, energies: Mapping[str, Tensor]) -> float:
    total = 0.0
    for node in graph.weighted:
        for name, channel in group:
            if node.sources[0] == name:
                size = float(_columns(graph, node)[:, channel].square().sum())
                total += size * float(energies[name][channel])
    return total


def _columns(graph: FloatGraph, node: FloatWeighted) -> Tensor:
    """A node's weights ``(out, channels of its source, the rest)``."""
    if isinstance(node, FloatDense):
        channels = graph.shapes[node.sources[0]][2]
        found: Tensor = node.weight.unflatten(1, (-1, channels)).movedim(2, 1)
        return found
    return node.weight.flatten(2)


def _without(graph: FloatGraph, group: Group) -> FloatGraph:
    """The graph without the channels of a group."""
    left: dict[str, list[int]] = {}
    for name, shape in graph.shapes.items():
        gone = {channel for owner, channel in group if owner == name}
        left[name] = [channel for channel in range(shape[2]) if channel not in gone]
    nodes: list[Node] = []
    for node in graph.nodes:
        if not isinstance(node, FloatWeighted):
            nodes.append(node)
            continue
        rows, taken = left[node.name], left[node.sources[0]]
        kept = _columns(graph, node)[rows][:, taken]
        if isinstance(node, FloatConvolution):
            weight = kept.unflatten(2, node.weight.shape[2:])
        else:
            weight = kept.movedim(1, 2).flatten(1)
        nodes.append(replace(node, weight=weight.contiguous(), bias=node.bias[rows]))
    return FloatGraph(graph.shape, tuple(nodes))
