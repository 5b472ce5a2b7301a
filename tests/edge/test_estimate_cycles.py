"""Cycles without a simulation against the one word by word, which is the Verilog's own."""

from __future__ import annotations

import pytest
import torch

from geocore.edge.dataflow import Timing, flow
from geocore.edge.description import QuantisedModel
from geocore.edge.estimate_cycles import unhindered_cycles
from geocore.edge.nodes import IMAGES, Convolution, Dense, MaxPool, Node, Upsample
from geocore.edge.queues import size_queues
from tests.edge.networks import PLAIN, WEIGHT, branched, tiny


def chain(seed: int) -> QuantisedModel:
    """Random convolutions, pooling, then upsampling as well, and a dense node."""
    draw = torch.Generator().manual_seed(seed)

    def whole(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (1,), generator=draw))

    height, width = whole(6, 12), whole(6, 12)
    shape, source = (height, width), IMAGES
    nodes: list[Node] = []
    for n in range(whole(2, 4)):
        kind, name = whole(0, 3), f"node_{n}"
        if kind == 0 and min(shape) >= 2:
            nodes.append(MaxPool(name, (source,), 2))
            shape = shape[0] // 2, shape[1] // 2
        elif kind == 1 and n and max(shape) <= 12:
            nodes.append(Upsample(name, (source,), 2))
            shape = 2 * shape[0], 2 * shape[1]
        else:
            size, stride = min(whole(1, 3), *shape), whole(1, 2)
            padding = tuple(whole(0, size - 1) for _ in range(4))
            weight = torch.ones(1, 1, size, size, dtype=torch.int64)
            bias = torch.zeros(1, dtype=torch.int64)
            nodes.append(
                Convolution(name, (source,), weight, bias, WEIGHT, PLAIN, PLAIN, stride, padding)  # type: ignore[arg-type]
            )
            shape = (
                (shape[0] + padding[0] + padding[1] - size) // stride + 1,
                (shape[1] + padding[2] + padding[3] - size) // stride + 1,
            )
        source = name
    weight = torch.ones(2, shape[0] * shape[1], dtype=torch.int64)
    bias = torch.zeros(2, dtype=torch.int64)
    nodes.append(Dense("dense", (source,), weight, bias, WEIGHT, PLAIN, None))
    return QuantisedModel((height, width, 1), PLAIN, tuple(nodes))


def latencies(model: QuantisedModel) -> dict[str, int]:
    return {node.name: 1 + n % 4 for n, node in enumerate(model.weighted)}


@pytest.mark.parametrize("seed", range(25))
def test_a_chain_is_told_to_a_few_cycles(seed: int) -> None:
    """Most to the last one; a reader that holds its writer back costs a few."""
    model = chain(seed)
    latency, lanes = latencies(model), {"dense": 1}
    wanted = flow(model, Timing(latency, lanes), images=4)
    found = unhindered_cycles(model, latency, lanes)
    assert abs(found.latency - wanted.latency) <= 3
    last = wanted.cycles[-1][-1] - wanted.cycles[-2][-1]
    assert found.interval == pytest.approx(last, rel=0.01)


def test_many_chains_are_told_exactly() -> None:
    exact = 0
    for seed in range(25):
        model = chain(seed)
        latency, lanes = latencies(model), {"dense": 1}
        wanted = flow(model, Timing(latency, lanes), images=3)
        last = wanted.cycles[2][-1] - wanted.cycles[1][-1]
        found = unhindered_cycles(model, latency, lanes)
        exact += (found.latency, found.interval) == (wanted.latency, last)
    assert exact >= 10


@pytest.mark.parametrize("lanes", [{"first": 1}, {"first": 3}, {"first": 2, "last": 3}])
def test_branches_and_their_queues(lanes: dict[str, int]) -> None:
    model = branched()
    latency = latencies(model)
    queues = size_queues(model, Timing(latency, lanes))
    wanted = flow(model, Timing(latency, lanes, queues), images=3)
    found = unhindered_cycles(model, latency, lanes, queues)
    assert abs(found.latency - wanted.latency) <= 3
    assert found.interval == wanted.interval


def test_one_convolution_by_hand() -> None:
    """4 x 5 pixels, 3 x 3: the last window ends with the last pixel, cycle 19; then it and the
    kernel's queue are a cycle each, and the kernel its own.
    """
    found = unhindered_cycles(tiny(), {"convolution": 7}, {})
    assert found.latency == 19 + 1 + 7 + 1 and found.interval == 20
