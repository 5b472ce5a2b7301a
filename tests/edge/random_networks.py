"""Networks drawn at random: ways that part and meet, strides, paddings, pools, upsampling."""

from __future__ import annotations

import torch

from geocore.edge.description import QuantisedModel
from geocore.edge.nodes import IMAGES, Add, Concatenate, Convolution, MaxPool, Node, Upsample
from tests.edge.networks import PLAIN, WEIGHT

__all__ = ["random_graph"]


class Drawing:
    """A network drawn node by node: ways that part, go down and up, and meet."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self.nodes: list[Node] = []

    def drawn(self, low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=self._generator))

    def convolution(self, source: str, kernel: int, stride: int = 1, given: int = 2) -> str:
        """Half as large with stride 2, else as large as its source, wherever the zeros lie."""
        if stride == 2 and kernel == 1:
            sides = (0, 0)
        else:
            first = self.drawn(0, kernel - stride + 1)
            sides = (first, kernel - stride - first)
        padding = (*sides, *(sides if self.drawn(0, 2) else sides[::-1]))
        weight = torch.randint(-3, 4, (2, given, kernel, kernel), generator=self._generator)
        bias = torch.randint(-5, 6, (2,), generator=self._generator)
        name = f"n{len(self.nodes)}"
        self.nodes.append(
            Convolution(name, (source,), weight, bias, WEIGHT, PLAIN, PLAIN, stride, padding)
        )
        return name

    def down(self, source: str) -> str:
        if self.drawn(0, 2):
            return self.convolution(source, self.drawn(1, 4), stride=2)
        return self.put(MaxPool(f"n{len(self.nodes)}", (source,)))

    def up(self, source: str) -> str:
        return self.put(Upsample(f"n{len(self.nodes)}", (source,)))

    def put(self, node: Node) -> str:
        self.nodes.append(node)
        return node.name

    def way(self, source: str, least: int) -> str:
        """Convolutions, perhaps at half the size between."""
        inside = bool(self.drawn(0, 2))
        here = self.down(source) if inside else source
        for _ in range(self.drawn(0 if inside else least, 3)):
            here = self.convolution(here, self.drawn(1, 6))
        return self.up(here) if inside else here

    def met(self, ways: list[str]) -> str:
        name = f"n{len(self.nodes)}"
        if self.drawn(0, 2):
            return self.put(Add(name, tuple(ways), PLAIN))
        self.put(Concatenate(name, tuple(ways), PLAIN))
        return self.convolution(name, 1, given=2 * len(ways))


def random_graph(seed: int) -> QuantisedModel:
    """Blocks of two ways or three that meet, some at half the size, until all is one way."""
    drawing = Drawing(seed)
    here = IMAGES
    for _ in range(drawing.drawn(1, 4)):
        count = drawing.drawn(2, 4)
        if lower := bool(drawing.drawn(0, 3) == 0):
            ways = [drawing.down(here) for _ in range(count)]
        else:
            ways = [drawing.way(here, 0 if way else 1) for way in range(count)]
        here = drawing.met(ways)
        here = drawing.up(here) if lower else here
    sides = 4 * drawing.drawn(2, 4), 4 * drawing.drawn(2, 4)
    return QuantisedModel((*sides, 2), PLAIN, tuple(drawing.nodes))
