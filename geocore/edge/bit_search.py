"""Which layer needs how many bits: from sensitivities to a front of loss against cost."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import nn

from geocore.edge.bits import Bits, LayerBits, WeightBits
from geocore.edge.description import QuantisedModel
from geocore.edge.float_graph import FloatGraph
from geocore.edge.quantised import QuantisedNetwork, rounded_nodes
from geocore.edge.quantisers import ActivationGrid, QuantisedWeights
from geocore.train.classification import Classification
from geocore.train.feed import Feed
from geocore.train.objective import Objective

__all__ = ["WEIGHTS", "BitSearch", "Move", "SearchPoint", "calibration_loss", "front"]

Loss = Callable[[QuantisedNetwork], float]
Cost = Callable[[QuantisedModel], float]
WEIGHTS: tuple[WeightBits, ...] = (16, 12, 10, 8, 7, 6, 5, 4, 3, "ternary", "binary")
_ACTIVATIONS = (16, 12, 10, 8, 7, 6, 5, 4, 3, 2)


@dataclass(frozen=True)
class Move:
    """Fewer bits of one node's weights, or of what it gives, and what they change.

    ``loss`` and ``cost`` are those of the network after the move, ``rise`` and ``saved`` what it
    loses and saves against the one before.
    """

    name: str
    part: Literal["weights", "activations"]
    to: WeightBits
    loss: float
    cost: float
    rise: float
    saved: float


@dataclass(frozen=True)
class SearchPoint:
    """A network's bits, what it costs, and its loss without retraining."""

    bits: Bits
    cost: float
    loss: float


class BitSearch:
    """Fewer bits layer by layer, the least harmful first.

    ``loss`` judges a quantised network without retraining (``calibration_loss`` is one), ``cost``
    its description: LUTs of an estimate, or bit operations. ``weights`` and ``activations`` are the
    choices, most bits first; a layer begins at ``start``'s bits and goes from one choice to the
    next below. Peaks are those of ``activation_peaks``. Nothing is drawn at random: equal arguments
    give equal results.
    """

    def __init__(
        self,
        graph: FloatGraph,
        peaks: Mapping[str, float],
        start: Bits,
        *,
        loss: Loss,
        cost: Cost,
        weights: Sequence[WeightBits] = WEIGHTS,
        activations: Sequence[int] = _ACTIVATIONS,
    ) -> None:
        self._graph, self._peaks, self.start = graph, dict(peaks), start
        self._loss, self._cost = loss, cost
        self._weights, self._activations = tuple(weights), tuple(activations)
        self._network = QuantisedNetwork(graph, start, self._peaks).eval()
        self._made: dict[tuple[str, str, WeightBits], nn.Module] = {}

    def point(self, bits: Bits) -> SearchPoint:
        """Cost and loss of these bits."""
        network = self._network
        network.bits = bits
        for name, part in self._parts():  # only what was never seen is made anew
            key = name, part, _bits(bits, name, part)
            if key not in self._made:
                self._made[key] = self._layer(*key)
            getattr(network, "weights" if part == "weights" else "grids")[name] = self._made[key]
        return SearchPoint(bits, self._cost(network.describe()), self._loss(network))

    def sensitivities(self) -> list[Move]:
        """Each layer's weights and values alone at each number of bits below the start's."""
        here = self.point(self.start)
        found = []
        for name, part in self._parts():
            bits = self.start
            while (to := self._below(bits, name, part)) is not None:
                bits = _with(bits, name, part, to)
                found.append(_move(here, self.point(bits), name, part, to))
        return found

    def search(self, budget: float) -> list[SearchPoint]:
        """From ``start`` down, one move at a time, while the loss rises by ``budget`` at most.

        The next move is that of the least rise of loss for what it saves, ``rise / saved``. Those
        ratios are first the sensitivities' and are taken again at the bits reached when their move
        is the first in line (lazy greedy: Minoux, 1978, whose bound of the true ratio they are only
        nearly); a move beyond the budget is off for good. Returns the points passed, the start
        first. Raises ``ValueError`` for a negative budget.
        """
        if not budget >= 0:
            raise ValueError(f"budget is {budget}; expected 0 or more")
        points = [self.point(self.start)]
        highest = points[0].loss + budget
        line: list[tuple[float, int, int]] = []  # ratio, part, how many points when it was taken
        parts = self._parts()
        moves: dict[int, SearchPoint] = {}

        def queue(place: int) -> None:
            name, part = parts[place]
            here = points[-1]
            to = self._below(here.bits, name, part)
            if to is None:
                return
            there = self.point(_with(here.bits, name, part, to))
            moves[place] = there
            heapq.heappush(line, (_ratio(here, there), place, len(points)))

        for place in range(len(parts)):
            queue(place)
        while line:
            _, place, taken = heapq.heappop(line)
            if taken != len(points):
                queue(place)
            elif moves[place].loss <= highest:
                points.append(moves[place])
                queue(place)
        return points

    def _layer(self, name: str, part: str, bits: WeightBits) -> nn.Module:
        if part == "weights":
            (node,) = (node for node in self._graph.weighted if node.name == name)
            return QuantisedWeights(node, bits).eval()
        assert isinstance(bits, int)
        signed = name not in self._graph.nonnegative
        return ActivationGrid(bits, self._peaks[name], signed=signed).eval()

    def _parts(self) -> list[tuple[str, Literal["weights", "activations"]]]:
        """What has bits: all weights, then all values on grids of their own, in order."""
        found: list[tuple[str, Literal["weights", "activations"]]] = []
        found += [(node.name, "weights") for node in self._graph.weighted]
        found += [(name, "activations") for name in rounded_nodes(self._graph)]
        return found

    def _below(self, bits: Bits, name: str, part: str) -> WeightBits | None:
        """The next choice below what the node has, or none."""
        now = _bits(bits, name, part)
        choices = self._weights if part == "weights" else self._activations
        return next((choice for choice in choices if _size(choice) < _size(now)), None)


def calibration_loss(
    feed: Feed, *, images: int = 512, batch_size: int = 128, objective: Objective | None = None
) -> Loss:
    """The objective's mean loss on a feed's first ``images``, by default a class a sample's NLL."""
    learned = Classification() if objective is None else objective
    batches = torch.arange(min(len(feed), images)).split(batch_size)

    def loss(network: QuantisedNetwork) -> float:
        total = weight = 0.0
        with torch.no_grad():
            for positions in batches:
                found = learned.loss(network(feed(positions)[0]), feed(positions)[1])
                total += float(found.mean) * float(found.weight)
                weight += float(found.weight)
        return total / weight

    return loss


def front(points: Sequence[SearchPoint]) -> list[SearchPoint]:
    """The points that no other beats in both cost and loss, cheapest first."""
    kept: list[SearchPoint] = []
    for point in sorted(points, key=lambda point: (point.cost, point.loss)):
        if not kept or point.loss < kept[-1].loss:
            kept.append(point)
    return kept


def _move(
    here: SearchPoint,
    there: SearchPoint,
    name: str,
    part: Literal["weights", "activations"],
    to: WeightBits,
) -> Move:
    rise, saved = there.loss - here.loss, here.cost - there.cost
    return Move(name, part, to, there.loss, there.cost, rise, saved)


def _ratio(here: SearchPoint, there: SearchPoint) -> float:
    """Loss for cost; a move that saves nothing comes last, but it comes: its next one may save."""
    saved = max(here.cost - there.cost, 1e-9 * abs(here.cost), 1e-300)
    return (there.loss - here.loss) / saved


def _bits(bits: Bits, name: str, part: str) -> WeightBits:
    return bits.weights_of(name) if part == "weights" else bits.activations_of(name)


def _with(bits: Bits, name: str, part: str, to: WeightBits) -> Bits:
    layer = bits.layers.get(name, LayerBits())
    if part == "weights":
        layer = replace(layer, weights=to)
    else:
        assert isinstance(to, int)
        layer = replace(layer, activations=to)
    return replace(bits, layers={**bits.layers, name: layer})


def _size(bits: WeightBits) -> float:
    """Of weights in order: ternary ones are fewer than two bits, binary ones one."""
    return {"ternary": 1.5, "binary": 1.0}.get(bits, 0.0) if isinstance(bits, str) else bits
