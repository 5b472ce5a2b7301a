"""How long the queues before joins must be: as short as they can, and not one word shorter."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial

from geocore.edge.dataflow import Edge, Flow, Timing, flow
from geocore.edge.description import QuantisedModel
from geocore.errors import UserError

__all__ = ["joins", "size_queues"]


def joins(model: QuantisedModel) -> list[Edge]:
    """The edges into nodes with several sources: where one way may have to wait for another."""
    found = [
        (source, node.name)
        for node in model.nodes
        if len(node.sources) > 1
        for source in node.sources
    ]
    return list(dict.fromkeys(found))


def size_queues(model: QuantisedModel, timing: Timing, images: int = 4) -> dict[Edge, int]:
    """The least words of each queue before a join with which nothing is lost.

    Nothing is lost where no word of ``images`` streamed back to back comes out later than with
    queues as long as they can get. Among queues a longer one never makes anything later, so each is
    sought by halving; none at all, which saves the cycle that a queue takes, is tried first. The
    result is minimal: with one word less in any of its queues, the network comes to a stop or
    something comes later. What would fill up only behind more images than these is not seen.
    ``timing.queues`` is not read. Raises ``UserError`` for a network that comes to a stop with any
    queues, and ``ValueError`` for a timing without the latency of a kernel.
    """
    edges = joins(model)
    words = {edge: images * model.shapes[edge[0]][0] * model.shapes[edge[0]][1] for edge in edges}

    def tried(depths: dict[Edge, int], limits: list[list[int]]) -> Flow:
        used = {edge: depth for edge, depth in depths.items() if depth}
        return flow(model, dataclasses.replace(timing, queues=used), images, limits=limits)

    def will_do(edge: Edge, depth: int) -> bool:
        found = tried(depths | {edge: depth}, best.cycles)
        return not found.late and not found.stopped and len(found.cycles) == images

    best = tried(words, [])
    if best.stopped:
        raise UserError(f"the network comes to a stop on {best.stopped[0]}, whatever its queues")
    depths = {edge: best.waiting[edge] for edge in edges}
    before: dict[Edge, int] | None = None
    while depths != before:  # an edge that lost its queue may let another be shorter
        before = dict(depths)
        for edge in edges:
            depths[edge] = _least(partial(will_do, edge), depths[edge])
    return {edge: depth for edge, depth in depths.items() if depth}


def _least(will_do: Callable[[int], bool], high: int) -> int:
    """The least depth that will do, of which ``high`` is one."""
    if high == 0 or will_do(0):
        return 0
    if high == 1 or not will_do(high - 1):  # as it mostly is
        return high
    low, high = 1, high - 1
    while low < high:
        middle = (low + high) // 2
        if will_do(middle):
            high = middle
        else:
            low = middle + 1
    return high
