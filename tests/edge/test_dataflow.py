"""The dataflow: its cycles are those of the Verilog, in both writings of its rules."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from geocore.edge.dataflow import Timing, flow, readable_flow
from geocore.edge.nodes import IMAGES, Convolution
from geocore.edge.queues import joins, size_queues
from geocore.edge.reference import reference_integers
from geocore.edge.simulation import build_simulator
from geocore.edge.verilog import Layout, write_verilog
from geocore.errors import UserError
from tests.edge.cycles import LANES, minimal, timing
from tests.edge.networks import branched, random_images
from tests.edge.random_networks import random_graph


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


@pytest.mark.parametrize(
    "seed", [pytest.param(n, marks=[pytest.mark.slow] if n > 1 else []) for n in range(20)]
)
def test_random_graphs_cycle_by_cycle(seed: int, tmp_path: Path) -> None:
    model = random_graph(seed)
    given = timing(write_verilog(model))
    queues = size_queues(model, given)
    assert minimal(model, dataclasses.replace(given, queues=queues), 4)
    design = write_verilog(model, Layout(queues=queues))
    images = random_images(model, 6)
    found = build_simulator(design, tmp_path).run(images)
    last = model.nodes[-1].name
    assert torch.equal(found.integers, reference_integers(model, images)[last])
    assert flow(model, timing(design, queues=queues), 6).cycles == found.cycles.tolist()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_one_word_less_in_verilog(seed: int, tmp_path: Path) -> None:
    """It comes to a stop, or is late by just as many cycles as the dataflow says."""
    model = random_graph(seed)
    queues = size_queues(model, timing(write_verilog(model)))
    longest = max(queues, key=lambda edge: queues[edge])
    short = {edge: depth - (edge == longest) for edge, depth in queues.items()}
    short = {edge: depth for edge, depth in short.items() if depth}
    design = write_verilog(model, Layout(queues=short))
    wanted = flow(model, timing(design, queues=short), 4)
    simulator, images = build_simulator(design, tmp_path), random_images(model, 4)
    if wanted.stopped:
        with pytest.raises(UserError, match="comes to a stop"):
            simulator.run(images)
    else:
        assert simulator.run(images).cycles.tolist() == wanted.cycles


@pytest.mark.parametrize("seed", range(20))
def test_both_writings_of_the_rules_agree(seed: int) -> None:
    model = random_graph(seed)
    generator = torch.Generator().manual_seed(seed)
    names = [node.name for node in model.nodes if isinstance(node, Convolution)]
    latency = {name: int(torch.randint(1, 6, (), generator=generator)) for name in names}
    given = Timing(latency)
    sized = dataclasses.replace(given, queues=size_queues(model, given, 2))
    for tried in (given, sized, dataclasses.replace(given, queues=dict.fromkeys(joins(model), 9))):
        found = flow(model, tried, 3)
        assert found == readable_flow(model, tried, 3)
        limits = [[cycle - (cycle > 40) for cycle in image] for image in found.cycles]
        assert flow(model, tried, 3, limits=limits).late == bool(limits)
        assert readable_flow(model, tried, 3, limits=limits).late == bool(limits)


def test_dense_nodes_in_both_writings() -> None:
    model = branched()
    given = Timing({"halved": 3, "same": 4, "point": 1, "last": 2}, lanes=LANES)
    for queues in ({}, {("met", "sum"): 30}, {("met", "sum"): 9, ("images", "pooled"): 3}):
        tried = dataclasses.replace(given, queues=queues)
        assert flow(model, tried, 5) == readable_flow(model, tried, 5)


def test_what_a_timing_must_have() -> None:
    model = branched()
    with pytest.raises(ValueError, match=r"latency of halved is none; expected its kernel's"):
        flow(model, Timing({}))
    latency = {"halved": 3, "same": 4, "point": 1, "last": 2}
    with pytest.raises(ValueError, match="latency of same is 0; expected"):
        size_queues(model, Timing({**latency, "same": 0}, lanes=LANES))
    with pytest.raises(
        ValueError, match=r"queues has 3 words on .*; expected 1 or more on an edge"
    ):
        flow(model, Timing(latency, lanes=LANES, queues={("sum", "met"): 3}))
    with pytest.raises(ValueError, match="images is 0; expected at least one"):
        flow(model, Timing(latency, lanes=LANES), 0)


def test_without_a_compiler_it_is_followed_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_graph(2)
    given = Timing({node.name: 2 for node in model.weighted}, queues={(IMAGES, "n5"): 40})
    expected = flow(model, given, 2)
    monkeypatch.setattr("geocore.edge.dataflow.which", lambda name: None)
    monkeypatch.setattr("geocore.edge.dataflow._program", None)
    assert flow(model, given, 2) == expected and size_queues(model, given, 2)
