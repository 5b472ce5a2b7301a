"""How large the values inside a network become: where the learning of their grids begins."""

from __future__ import annotations

import torch
from torch import Tensor

from geocore.edge.float_graph import FloatGraph, FloatWeighted, evaluate
from geocore.edge.quantised import QuantisedNetwork
from geocore.train.feed import Feed

__all__ = ["activation_peaks", "calibrate"]

# A layer that is silent on all images still needs a step.
_LEAST = 2.0**-8


def activation_peaks(
    graph: FloatGraph,
    feed: Feed,
    *,
    images: int = 1024,
    batch_size: int = 128,
    percentile: float = 100.0,
) -> dict[str, float]:
    """The largest magnitude of each node's value by its name, over a feed's first ``images``.

    With a ``percentile`` below 100 that many in a hundred of a value's numbers are no larger: of
    ``n`` numbers the largest ``floor(n (1 - percentile / 100))`` are left out, to be cut off by the
    grid. No peak is below ``2^-8``. Raises ``ValueError`` for a percentile outside (50, 100].
    """
    if not 50 < percentile <= 100:
        raise ValueError(f"percentile is {percentile}; expected above 50, at most 100")
    count = min(len(feed), images)
    if count < 1:
        raise ValueError(f"images are {count}; expected at least one")
    largest: dict[str, Tensor] = {}
    for positions in torch.arange(count).split(batch_size):
        with torch.no_grad():
            values = graph.values(feed(positions)[0])
        for node in graph.nodes:
            found = values[node.name].abs().flatten()
            total = count * (found.numel() // len(positions))
            left_out = int(total * (1 - percentile / 100) + 1e-9)
            found = torch.cat([found, largest.get(node.name, found[:0])])
            largest[node.name] = found.topk(min(left_out + 1, found.numel()), sorted=True).values
    return {name: max(float(values[-1]), _LEAST) for name, values in largest.items()}


def calibrate(network: QuantisedNetwork, feed: Feed, *, images: int = 256) -> None:
    """Biases and steps anew, in place, from what the quantised network itself computes.

    Node by node, on a feed's first ``images``: each bias moves by the difference of the channel's
    means in the float graph and here, ``b + mean(y) - mean(y')``, before any ReLU, and each grid
    begins at the largest magnitude that it is then given. Weights of one or two bits lie far off
    their float ones: with these the training starts from values that are neither all cut off nor
    all zero. Bias correction: Nagel et al., arXiv:1906.04721, section 4.2.
    """
    graph = network.graph
    count = min(len(feed), images)
    if count < 1:
        raise ValueError(f"images are {count}; expected at least one")
    given = feed(torch.arange(count))[0].to(next(network.parameters()).dtype)
    by_name = {node.name: node for node in graph.nodes}
    wanted = graph.values(given)

    def before(name: str, value: Tensor) -> Tensor:
        node = by_name[name]
        if isinstance(node, FloatWeighted):
            source = wanted[node.sources[0]].permute(0, 3, 1, 2)
            off = evaluate(node, [source]).mean(dim=(0, 2, 3)) - value.mean(dim=(0, 2, 3))
            network.weights_of(name).layer.bias.add_(off)
            value = value + off[:, None, None]
        if name in network.grids:
            grid = network.grid_of(name)
            held = value if grid.signed else value.clamp_min(0)
            grid.begin_at(max(float(held.abs().max()), _LEAST))
        return value

    with torch.no_grad():
        network.values(given, before)
