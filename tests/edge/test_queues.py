"""Queues: none shorter will do, and the cycles are those of the Verilog."""

from __future__ import annotations

import dataclasses
from itertools import chain
from pathlib import Path

import pytest
import torch
from torch import Tensor

from geocore.edge.dataflow import Flow, Timing, flow
from geocore.edge.description import QuantisedModel
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.nodes import IMAGES, Add, Concatenate, Convolution, MaxPool, Node, Upsample
from geocore.edge.queues import joins, size_queues
from geocore.edge.reference import reference_integers
from geocore.edge.simulation import build_simulator
from geocore.edge.verilog import Design, Layout, write_verilog
from tests.edge.networks import PLAIN, WEIGHT, branched, random_images

LANES = {"first": 2}


def timing(design: Design, **changes: object) -> Timing:
    found = {name: kernel.latency for name, kernel in design.kernels.items()}
    return Timing(latency=found, **changes)  # type: ignore[arg-type]


def test_one_word_less_loses_cycles_or_stops() -> None:
    model = branched()
    given = timing(write_verilog(model, Layout(lanes=LANES)), lanes=LANES)
    found = size_queues(model, given)
    assert set(found) <= set(joins(model)) and found[("met", "sum")] > 1
    roomy = flow(model, dataclasses.replace(given, queues=dict.fromkeys(joins(model), 99)), 3)
    best = flow(model, dataclasses.replace(given, queues=found), 3)
    assert not best.stopped and not later(best, roomy)
    for edge, depth in found.items():
        less = {**found, edge: depth - 1}
        if depth == 1:
            del less[edge]
        short = flow(model, dataclasses.replace(given, queues=less), 3)
        assert short.stopped or later(short, roomy)


def later(first: Flow, second: Flow) -> bool:
    """Whether some word comes later in the first."""
    pairs = zip(chain(*first.cycles), chain(*second.cycles), strict=True)
    return any(mine > theirs for mine, theirs in pairs)


def test_the_cycles_are_the_verilogs(tmp_path: Path) -> None:
    model = branched()
    layout = Layout(lanes=LANES)
    queues = size_queues(model, timing(write_verilog(model, layout), lanes=LANES))
    design = write_verilog(model, dataclasses.replace(layout, queues=queues))
    images = random_images(model, 20)
    found = build_simulator(design, tmp_path).run(images)
    assert torch.equal(found.integers, reference_integers(model, images)["last"])
    wanted = flow(model, timing(design, lanes=LANES, queues=queues), 20)
    assert wanted.cycles == found.cycles.tolist()


def test_where_it_stops_is_told() -> None:
    model = branched()
    stuck = flow(model, timing(write_verilog(model, Layout(lanes=LANES)), lanes=LANES))
    assert stuck.cycles == [] and ("met", "same") not in stuck.stopped
    assert ("met", "sum") in stuck.stopped


def random_graph(seed: int) -> QuantisedModel:
    """Nodes on what is there, joins of what has one shape, until all ways have met."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    def integers(low: int, high: int, *shape: int) -> Tensor:
        return torch.randint(low, high, shape, generator=generator)

    def convolution(name: str, source: str, kernel: int) -> Convolution:
        side = (kernel - 1) // 2
        weight, bias = integers(-3, 4, 2, 2, kernel, kernel), integers(-5, 6, 2)
        return Convolution(name, (source,), weight, bias, WEIGHT, PLAIN, PLAIN, 1, (side,) * 4)

    nodes: list[Node] = []
    here = IMAGES
    for block in range(drawn(1, 4)):
        ways = []
        for way in range(drawn(2, 4)):
            end = here
            for step in range(drawn(0 if way else 1, 3)):
                name = f"b{block}w{way}s{step}"
                nodes.append(convolution(name, end, (1, 3, 5)[drawn(0, 3)]))
                end = name
            ways.append(end)
        if drawn(0, 2):
            nodes.append(Add(f"join{block}", tuple(ways), PLAIN))
            here = f"join{block}"
        else:
            nodes.append(Concatenate(f"join{block}", tuple(ways), PLAIN))
            weight, bias = integers(-3, 4, 2, 2 * len(ways), 1, 1), integers(-5, 6, 2)
            nodes.append(
                Convolution(f"mixed{block}", (f"join{block}",), weight, bias, WEIGHT, PLAIN, PLAIN)
            )
            here = f"mixed{block}"
        if drawn(0, 2):
            nodes.append(MaxPool(f"less{block}", (here,)))
            nodes.append(Upsample(f"more{block}", (f"less{block}",)))
            here = f"more{block}"
    return QuantisedModel((4 * drawn(2, 4), 4 * drawn(2, 4), 2), PLAIN, tuple(nodes))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_random_graphs_cycle_by_cycle(seed: int, tmp_path: Path) -> None:
    model = random_graph(seed)
    queues = size_queues(model, timing(write_verilog(model)))
    design = write_verilog(model, Layout(queues=queues))
    images = random_images(model, 4)
    found = build_simulator(design, tmp_path).run(images)
    last = model.nodes[-1].name
    assert torch.equal(found.integers, reference_integers(model, images)[last])
    assert flow(model, timing(design, queues=queues), 4).cycles == found.cycles.tolist()


def test_a_network_without_joins_needs_no_queue() -> None:
    node = MaxPool("pool", (IMAGES,))
    model = QuantisedModel((4, 4, 1), FixedPoint(2, 0, signed=False), (node,))
    assert size_queues(model, Timing({})) == {}
