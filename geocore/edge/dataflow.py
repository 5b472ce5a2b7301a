"""When each word passes where: the streaming design cycle by cycle, without its bits.

A design is a network of processes between which words pass (``geocore.edge.verilog``). When a word
is offered and when it is taken follows from when others were, by the rules of the modules in
``geocore/edge/rtl``: a recurrence in ``max`` and ``+``, followed word by word and not cycle by
cycle. A frame takes seconds where the Verilog's simulation takes minutes of building alone, and the
cycles are the Verilog's own, to the last one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from geocore.edge.dataflow_modules import (
    Channel,
    Process,
    Times,
    dense,
    enter,
    fork,
    leave,
    pool,
    sink,
    source,
    upsample,
    window,
)
from geocore.edge.description import QuantisedModel
from geocore.edge.nodes import IMAGES, Add, Concatenate, Convolution, Dense, MaxPool, Node, Upsample

__all__ = ["Edge", "Flow", "Timing", "flow"]

Edge = tuple[str, str]
_OUT = ""  # who reads the network's last value


@dataclass(frozen=True)
class Timing:
    """What the cycles depend on beside the network.

    ``latency`` of each node with a kernel of adders (``Kernel.latency``), ``lanes`` of each dense
    node that shares its multipliers, ``queues``: words between a node and one of its readers. The
    latter two as in ``geocore.edge.verilog.Layout``.
    """

    latency: Mapping[str, int]
    lanes: Mapping[str, int] = field(default_factory=dict)
    queues: Mapping[Edge, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Flow:
    """``cycles`` in which each word of each image went out, from that of the first pixel on.

    ``waiting`` is the largest number of places of a queue that were in use, by its edge.
    ``stopped`` are the edges on which a word is offered that nobody will ever take: none where all
    came out.
    """

    cycles: list[list[int]]
    waiting: dict[Edge, int]
    stopped: list[Edge]

    @property
    def latency(self) -> int:
        """Cycles from the first pixel of the first image to its last word."""
        return self.cycles[0][-1]

    @property
    def interval(self) -> float:
        """Cycles from one image's last word to the next one's, in the mean."""
        if len(self.cycles) < 2:
            return math.nan
        return (self.cycles[-1][-1] - self.cycles[0][-1]) / (len(self.cycles) - 1)


def flow(model: QuantisedModel, timing: Timing, images: int = 2) -> Flow:
    """Stream ``images`` of them back to back, every word taken as soon as it is there."""
    return _Network(model, timing, images).run()


class _Network:
    def __init__(self, model: QuantisedModel, timing: Timing, images: int) -> None:
        self.model, self.timing, self.images = model, timing, images
        self.runnable: list[Process] = []
        self.ways: dict[tuple[Edge, int], Channel] = {}
        self.queues: dict[Edge, tuple[Channel, Channel]] = {}

    def run(self) -> Flow:
        """Until nobody can go on."""
        processes = list(self._processes())
        out = self.ways[(self.model.nodes[-1].name, _OUT), 0]
        self.runnable += processes
        while self.runnable:
            process = self.runnable.pop()
            for times, place in process:
                if len(times) <= place:
                    times.wait(process)
                    break
        height, width, _ = self.model.shapes[self.model.nodes[-1].name]
        words = height * width
        first = self.images_out.taken[0] if self.images_out.taken else 0
        taken = [cycle - first for cycle in out.taken]
        return Flow(
            cycles=[taken[n : n + words] for n in range(0, len(taken) - words + 1, words)],
            waiting={edge: _most(*pair) for edge, pair in self.queues.items()},
            stopped=[
                edge for (edge, _), way in self.ways.items() if len(way.offered) > len(way.taken)
            ],
        )

    def _processes(self) -> Iterator[Process]:
        model = self.model
        last = model.nodes[-1].name
        gives = {name: self._channel() for name in model.shapes}
        self.images_out = gives[IMAGES]
        takes: dict[tuple[str, int], Channel] = {}
        readers: dict[str, list[tuple[str, int]]] = {name: [] for name in model.shapes}
        for node in model.nodes:
            for place, name in enumerate(node.sources):
                readers[name].append((node.name, place))
        readers[last].append((_OUT, 0))
        yield source(gives[IMAGES], self._words(IMAGES))
        for name, reading in readers.items():
            for reader, place in reading:
                edge = (name, reader)
                way = end = self.ways[edge, place] = self._channel()
                if depth := self.timing.queues.get(edge, 0):
                    end = self._channel()
                    self.queues[edge] = way, end
                    yield from self._queue([way], end, depth, 1, self._words(name))
                takes[reader, place] = end
            ways = [self.ways[(name, reader), place] for reader, place in reading]
            yield fork(gives[name], ways, self._words(name))
        for node in model.nodes:
            given = [takes[node.name, place] for place in range(len(node.sources))]
            yield from self._node(node, given, gives[node.name])
        yield sink(takes[_OUT, 0], self._words(last))

    def _node(self, node: Node, given: list[Channel], out: Channel) -> Iterator[Process]:
        height, width, channels = self.model.shapes[node.sources[0]]
        size, words = (height, width), self._words(node.name)
        if isinstance(node, Convolution):
            rows, columns = node.weight.shape[2:]
            windows = self._channel()
            yield window(
                given[0], windows, size, (rows, columns), node.stride, node.padding, self.images
            )
            yield from self._kernel(node, windows, out)
        elif isinstance(node, Dense) and node.name in self.timing.lanes:
            steps = -(-channels // self.timing.lanes[node.name])
            yield dense(given[0], out, height * width, steps, words)
        elif isinstance(node, Dense):
            yield from self._kernel(node, given[0], out)
        elif isinstance(node, MaxPool):
            yield pool(given[0], out, size, node.size, self.images)
        elif isinstance(node, Upsample):
            yield upsample(given[0], out, size, node.factor, self.images)
        else:
            assert isinstance(node, (Add, Concatenate))
            yield from self._queue(given, out, 2, 1, words)

    def _kernel(self, node: Node, given: Channel, out: Channel) -> Iterator[Process]:
        """``geocore_credit`` round a kernel, with its queue of ``latency + 2`` words."""
        latency = self.timing.latency[node.name]
        yield from self._queue([given], out, latency + 2, latency + 1, self._words(node.name))

    def _queue(
        self, given: list[Channel], out: Channel, depth: int, delay: int, words: int
    ) -> Iterator[Process]:
        written = Times(self.runnable)
        yield enter(given, out, written, depth, words)
        yield leave(written, out, delay, words)

    def _channel(self) -> Channel:
        return Channel(self.runnable)

    def _words(self, name: str) -> int:
        height, width, _ = self.model.shapes[name]
        return self.images * height * width


def _most(before: Channel, behind: Channel) -> int:
    """The largest number of places of a queue in use: one is free from the cycle after a read."""
    most, read = 0, 0
    for written, cycle in enumerate(before.taken, 1):
        while read < len(behind.taken) and behind.taken[read] < cycle:
            read += 1
        most = max(most, written - read)
    return most
