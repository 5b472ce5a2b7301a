"""A float graph on fixed-point grids: trained as it is, and described in integers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn

from geocore.edge.bits import Bits, LayerBits
from geocore.edge.description import QuantisedModel
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.float_graph import (
    FloatAdd,
    FloatConcatenate,
    FloatConvolution,
    FloatGraph,
    FloatWeighted,
    evaluate,
)
from geocore.edge.nodes import (
    IMAGES,
    Add,
    Concatenate,
    Convolution,
    Dense,
    MaxPool,
    Node,
    Upsample,
)
from geocore.edge.quantisers import ActivationGrid, QuantisedWeights
from geocore.train.feed import Feed

__all__ = ["Before", "Bits", "LayerBits", "QuantisedNetwork", "exact_logits", "rounded_nodes"]

Before = Callable[[str, Tensor], Tensor]


class QuantisedNetwork(nn.Module):
    """The network of a float graph, every number on a fixed-point grid.

    - images: ``inputs`` bits over [0, 1), the step is ``2^-inputs``;
    - weights: fixed point, ternary or binary, as ``QuantisedWeights`` says;
    - what a layer, a sum or a concatenation gives: unsigned after a ReLU, or where nothing in it
      is negative, else signed, with a learnt power-of-two step that begins where ``peaks``, the
      largest magnitudes by the nodes' names, just fit;
    - biases: on the grid of the layer's products, with as many bits as they take;
    - logits: the last accumulator as it is.

    ``forward`` takes images ``(n, height, width, channels)`` in [0, 1] and gives what the graph's
    ``run`` gives; in float64 it equals the integers of ``describe`` in every number. Raises
    ``ValueError`` for a peak that is missing, and for bits of a node that is none.
    """

    def __init__(self, graph: FloatGraph, bits: Bits, peaks: Mapping[str, float]) -> None:
        super().__init__()
        bits.require(node.name for node in graph.nodes)
        self.graph, self.bits, self.shape = graph, bits, graph.shape
        self.input = ActivationGrid(bits.inputs, 1 - 2.0**-bits.inputs, signed=False)
        self.input.requires_grad_(False)  # what a pixel is does not change
        self.weights = nn.ModuleDict(
            {
                node.name: QuantisedWeights(node, bits.weights_of(node.name))
                for node in graph.weighted
            }
        )
        self.grids = nn.ModuleDict()
        for name in rounded_nodes(graph):
            if name not in peaks:
                raise ValueError(f"peaks lacks {name}; expected one of every layer's value")
            self.grids[name] = ActivationGrid(
                bits.activations_of(name), peaks[name], signed=name not in graph.nonnegative
            )

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(n, classes)`` or maps ``(n, height, width, classes)``."""
        found = self.values(images)[self.graph.last]
        return found.flatten(1) if found.shape[1:3] == (1, 1) else found

    def values(self, images: Tensor, before: Before | None = None) -> dict[str, Tensor]:
        """What each node gives, ``(n, height, width, channels)``, by its name; images too.

        ``before`` is handed each node's name and its value ``(n, channels, height, width)`` before
        that is put onto the node's grid, and gives the value that is.
        """
        values = {IMAGES: self.input(images.permute(0, 3, 1, 2))}
        steps = {IMAGES: self.input.step}
        for node in self.graph.nodes:
            given = [values[source] for source in node.sources]
            if isinstance(node, FloatWeighted):
                weights = self.weights_of(node.name)
                weight, step = weights()
                step = step.detach() * steps[node.sources[0]]
                value = evaluate(node, given, weight, weights.bias(step))
            else:
                value, step = evaluate(node, given), steps[node.sources[0]]
            if before is not None:
                value = before(node.name, value)
            if node.name in self.grids:
                grid = self.grid_of(node.name)
                value, step = grid(value), grid.step
            values[node.name], steps[node.name] = value, step
        return {name: value.permute(0, 2, 3, 1) for name, value in values.items()}

    def describe(self) -> QuantisedModel:
        """The network's integers and formats, as they are now."""
        with torch.no_grad(), _float64(self):  # a step of float32 may be the next one
            return self._described()

    def _described(self) -> QuantisedModel:
        formats = {IMAGES: self.input.format}
        nodes: list[Node] = []
        for node in self.graph.nodes:
            output = self.grid_of(node.name).format if node.name in self.grids else None
            nodes.append(self._integers(node, formats[node.sources[0]], output))
            formats[node.name] = nodes[-1].grid([formats[source] for source in node.sources])
        return QuantisedModel(self.shape, self.input.format, tuple(nodes))

    def _integers(self, node: Node, given: FixedPoint, output: FixedPoint | None) -> Node:
        if isinstance(node, MaxPool | Upsample):
            return node
        if isinstance(node, FloatWeighted):
            weights = self.weights_of(node.name)
            weight, grid = weights()[0], weights.format
            fraction = grid.fraction + given.fraction
            bias = torch.round(weights.layer.bias * 2.0**fraction).long()
            plain = (node.name, node.sources, grid.quantise(weight), bias, grid, given, output)
            if isinstance(node, FloatConvolution):
                return Convolution(*plain, stride=node.stride, padding=node.padding)
            return Dense(*plain)
        assert output is not None and isinstance(node, FloatAdd | FloatConcatenate)
        kind = Add if isinstance(node, FloatAdd) else Concatenate
        return kind(node.name, node.sources, output)

    def weights_of(self, name: str) -> QuantisedWeights:
        """Weights and bias of that node."""
        return cast(QuantisedWeights, self.weights[name])

    def grid_of(self, name: str) -> ActivationGrid:
        """The grid that this node's value is put onto."""
        return cast(ActivationGrid, self.grids[name])


def exact_logits(network: QuantisedNetwork, feed: Feed, batch_size: int) -> Tensor:
    """Logits ``(n, classes)`` float64 of a network over a feed, in the feed's order.

    In float64, where each of its sums is exact: every number is a small integer times a power of
    two, but float32 would round a sum of more than 24 bits.
    """
    model = copy.deepcopy(network).double().eval()
    with torch.no_grad():
        found = [
            model(feed(positions)[0].double())
            for positions in torch.arange(len(feed)).split(batch_size)
        ]
    return torch.cat(found)


@contextmanager
def _float64(module: nn.Module) -> Iterator[None]:
    """Its parameters and buffers in float64 meanwhile; a copy would copy Brevitas' own as well."""
    held = [*module.parameters(), *module.buffers()]
    kept = [tensor.data for tensor in held]
    try:
        for tensor in held:
            if tensor.is_floating_point():
                tensor.data = tensor.data.double()
        yield
    finally:
        for tensor, data in zip(held, kept, strict=True):
            tensor.data = data


def rounded_nodes(graph: FloatGraph) -> list[str]:
    """The nodes whose values are rounded onto grids: those that compute, but for the logits."""
    by_name = {node.name: node for node in graph.nodes}
    logits: Node | None = by_name[graph.last]
    while isinstance(logits, MaxPool | Upsample):  # an accumulator passes these as it is
        logits = by_name.get(logits.sources[0])
    exempt = logits if isinstance(logits, FloatWeighted) and not logits.relu else None
    kinds = FloatWeighted | FloatAdd | FloatConcatenate
    return [node.name for node in graph.nodes if isinstance(node, kinds) and node is not exempt]
