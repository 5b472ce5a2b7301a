"""A streaming design as processes and the channels between them: who offers words to whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from geocore.edge.description import QuantisedModel
from geocore.edge.nodes import IMAGES, Add, Concatenate, Convolution, Dense, MaxPool, Node, Upsample

__all__ = ["KINDS", "Edge", "Network", "Part", "Timing"]

Edge = tuple[str, str]
KINDS = ("source", "sink", "fork", "queue", "window", "pool", "upsample", "dense")
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
class Part:
    """A process of one of ``KINDS``: channels that it reads and gives, by number, and its numbers.

    The numbers are, in the order of the function of that name in
    ``geocore.edge.dataflow_modules``: of a source, a sink and a fork the words; of a queue depth,
    delay and words; of a window height, width, rows, columns, stride, the four paddings and images;
    of pooling and upsampling height, width, size and images; of a dense node beats, steps, values.
    """

    kind: str
    reads: tuple[int, ...]
    gives: tuple[int, ...]
    numbers: tuple[int, ...]


class Network:
    """The ``parts`` of a design that streams ``images``, the source first, and their ``channels``.

    ``ways`` are the channels from a node to the place of one of its readers (or to the queue that
    lies there), ``queues`` the parts that are such queues. Raises ``ValueError`` for a timing that
    lacks a latency, or has less than a cycle or a word.
    """

    def __init__(self, model: QuantisedModel, timing: Timing, images: int) -> None:
        self.model, self.timing, self.images = model, timing, images
        _check(model, timing, images)
        self.channels = 0
        self.parts: list[Part] = []
        self.ways: dict[tuple[Edge, int], int] = {}
        self.queues: dict[Edge, int] = {}
        last = model.nodes[-1].name
        gives = {name: self._channel() for name in model.shapes}
        readers: dict[str, list[tuple[str, int]]] = {name: [] for name in model.shapes}
        for node in model.nodes:
            for place, name in enumerate(node.sources):
                readers[name].append((node.name, place))
        readers[last].append((_OUT, 0))
        self._part("source", (), (gives[IMAGES],), self._words(IMAGES))
        takes = {
            (reader, place): self._way((name, reader), place)
            for name, reading in readers.items()
            for reader, place in reading
        }
        for name, reading in readers.items():
            ways = tuple(self.ways[(name, reader), place] for reader, place in reading)
            self._part("fork", (gives[name],), ways, self._words(name))
        for node in model.nodes:
            given = tuple(takes[node.name, place] for place in range(len(node.sources)))
            self._node(node, given, gives[node.name])
        self.words = self._words(last) // images
        self._part("sink", (takes[_OUT, 0],), (), self._words(last))

    def _way(self, edge: Edge, place: int) -> int:
        """The channel that a reader reads, behind its queue if it has one."""
        way = self.ways[edge, place] = self._channel()
        depth = self.timing.queues.get(edge, 0)
        if not depth:
            return way
        end = self._channel()
        self.queues[edge] = len(self.parts)
        self._part("queue", (way,), (end,), depth, 1, self._words(edge[0]))
        return end

    def _node(self, node: Node, given: tuple[int, ...], out: int) -> None:
        height, width, channels = self.model.shapes[node.sources[0]]
        words, images = self._words(node.name), self.images
        if isinstance(node, Convolution):
            windows = self._channel()
            shape = (height, width, *node.weight.shape[2:], node.stride, *node.padding)
            self._part("window", given, (windows,), *shape, images)
            self._kernel(node, (windows,), out)
        elif isinstance(node, Dense) and node.name in self.timing.lanes:
            steps = -(-channels // self.timing.lanes[node.name])
            self._part("dense", given, (out,), height * width, steps, words)
        elif isinstance(node, Dense):
            self._kernel(node, given, out)
        elif isinstance(node, MaxPool):
            self._part("pool", given, (out,), height, width, node.size, images)
        elif isinstance(node, Upsample):
            self._part("upsample", given, (out,), height, width, node.factor, images)
        else:
            assert isinstance(node, (Add, Concatenate))
            self._part("queue", given, (out,), 2, 1, words)

    def _kernel(self, node: Node, given: tuple[int, ...], out: int) -> None:
        """``geocore_credit`` round a kernel, with its queue of ``latency + 2`` words."""
        latency = self.timing.latency[node.name]
        self._part("queue", given, (out,), latency + 2, latency + 1, self._words(node.name))

    def _part(
        self, kind: str, reads: tuple[int, ...], gives: tuple[int, ...], *numbers: int
    ) -> None:
        self.parts.append(Part(kind, reads, gives, tuple(numbers)))

    def _channel(self) -> int:
        self.channels += 1
        return self.channels - 1

    def _words(self, name: str) -> int:
        height, width, _ = self.model.shapes[name]
        return self.images * height * width


def _check(model: QuantisedModel, timing: Timing, images: int) -> None:
    if images < 1:
        raise ValueError(f"images is {images}; expected at least one")
    for node in model.nodes:
        kernel = isinstance(node, Convolution) or (
            isinstance(node, Dense) and node.name not in timing.lanes
        )
        if kernel and timing.latency.get(node.name, 0) < 1:
            found = timing.latency.get(node.name, "none")
            raise ValueError(f"latency of {node.name} is {found}; expected its kernel's, in cycles")
    edges = {(source, node.name) for node in model.nodes for source in node.sources}
    for edge, depth in timing.queues.items():
        if edge not in edges or depth < 1:
            raise ValueError(f"queues has {depth} words on {edge}; expected 1 or more on an edge")
