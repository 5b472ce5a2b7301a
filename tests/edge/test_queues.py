"""Queues: nothing comes later than with long ones, and none of them can be shorter."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from geocore.edge.bits import Bits
from geocore.edge.dataflow import Timing, flow
from geocore.edge.description import QuantisedModel
from geocore.edge.enet import Enet
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.nodes import IMAGES, MaxPool
from geocore.edge.quantised import QuantisedNetwork
from geocore.edge.queues import joins, size_queues
from geocore.edge.tracing import trace
from geocore.edge.verilog import Layout, write_verilog
from tests.edge.cycles import LANES, minimal, timing
from tests.edge.networks import branched


def test_one_word_less_loses_cycles_or_stops() -> None:
    model = branched()
    given = timing(write_verilog(model, Layout(lanes=LANES)), lanes=LANES)
    found = size_queues(model, given)
    assert set(found) <= set(joins(model)) and found[("met", "sum")] > 1
    assert minimal(model, dataclasses.replace(given, queues=found), 4)


@pytest.mark.slow
def test_queues_of_a_whole_enet() -> None:
    """Minutes at most for frames of the full size; one word less anywhere loses something."""
    torch.manual_seed(0)
    graph = trace(Enet(), (152, 240, 3))
    peaks = {node.name: 4.0 for node in graph.nodes}
    model = QuantisedNetwork(graph, Bits(2, 3), peaks).describe()
    given = Timing({node.name: 3 for node in model.weighted})
    sized = dataclasses.replace(given, queues=size_queues(model, given))
    found = flow(model, sized, 4)
    # A position of the padded image a cycle: nothing waits for anything but pixels.
    assert found.interval == 154 * 242
    assert minimal(model, sized, 4)


def test_a_network_without_joins_needs_no_queue() -> None:
    node = MaxPool("pool", (IMAGES,))
    model = QuantisedModel((4, 4, 1), FixedPoint(2, 0, signed=False), (node,))
    assert size_queues(model, Timing({})) == {}
