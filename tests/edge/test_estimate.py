"""The estimate of a network: sums of its parts, their errors, and the cycles."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from geocore.edge.dataflow import Timing, flow
from geocore.edge.description import QuantisedModel
from geocore.edge.device import require_fits
from geocore.edge.estimate import Figure, count_kernels, estimate
from geocore.edge.estimate_table import PARTS
from geocore.edge.nodes import Convolution
from geocore.edge.queues import size_queues
from geocore.edge.verilog import Layout, write_verilog
from geocore.errors import UserError
from tests.edge.networks import branched, tiny

LAYOUT = Layout(lanes={"first": 2}, queues={("met", "sum"): 9})


def test_all_is_the_sum_of_what_has_a_name() -> None:
    model = branched()
    found = estimate(model, LAYOUT)
    between = {"met to sum", "fork of images", "fork of met"}
    assert found.areas.keys() == {node.name for node in model.nodes} | between
    for name in ("lut", "ff", "lut_memory"):
        parts = [getattr(area, name).value for area in found.areas.values()]
        assert getattr(found.total, name).value == pytest.approx(math.fsum(parts))
        assert min(parts) > 0 or name == "lut_memory"
    # Of 9 words of 25 bits: eight tables are 32 words of 14.
    assert found.areas["met to sum"].lut_memory.value == 16
    assert found.areas["fork of met"].lut_memory == Figure(0.0, 0.0)
    assert found.total.dsp == found.total.bram == Figure(0.0, 0.0)
    whole = found.total.resources
    assert whole.lut == math.ceil(found.total.lut.value) and whole.dsp == whole.bram == 0
    require_fits(whole, "xczu9eg")
    with pytest.raises(UserError, match="the design takes"):
        require_fits(whole, "xczu9eg", 1e-3)


def test_errors_lie_between_those_that_cancel_and_those_that_add_up() -> None:
    found = estimate(branched(), LAYOUT)
    errors = [area.lut.error for area in found.areas.values()]
    assert math.hypot(*errors) <= found.total.lut.error <= math.fsum(errors)
    assert 0.01 < found.total.lut.relative < 0.3


def test_counted_kernels_are_alkaids_and_err_less() -> None:
    model = branched()
    design = write_verilog(model, LAYOUT)
    kernels = count_kernels(model, LAYOUT)
    assert kernels.keys() == design.kernels.keys()
    for name, kernel in kernels.items():
        other = design.kernels[name]
        counted = kernel.adders, kernel.registers, kernel.latency
        assert counted == (other.adders, other.registers, other.latency)
    rough, close = estimate(model, LAYOUT), estimate(model, LAYOUT, kernels)
    assert close.total.lut.error < rough.total.lut.error
    assert close.total.lut.value == pytest.approx(rough.total.lut.value, rel=0.25)
    assert close.kernels == {name: kernel.latency for name, kernel in kernels.items()}
    assert all(abs(rough.kernels[name] - cycles) <= 2 for name, cycles in close.kernels.items())
    assert close.latency.error < rough.latency.error


def test_cycles_are_those_of_the_flow() -> None:
    """Close where queues are long enough, and to the last one where they are followed."""
    model = branched()
    kernels = count_kernels(model, LAYOUT)
    latency = {name: kernel.latency for name, kernel in kernels.items()}
    queues = size_queues(model, Timing(latency, LAYOUT.lanes))
    for given in (queues, LAYOUT.queues):
        layout = dataclasses.replace(LAYOUT, queues=given)
        wanted = flow(model, Timing(latency, layout.lanes, layout.queues), images=3)
        found = estimate(model, layout, kernels, followed=True)
        assert found.latency == Figure(wanted.latency, 0.0)
        assert found.interval == Figure(wanted.interval, 0.0)
        free = estimate(model, layout, kernels)
        if given is queues:
            assert abs(free.latency.value - wanted.latency) <= 2 * free.latency.error
            assert free.interval.value == wanted.interval
        else:
            assert found.interval.value > free.interval.value
    with pytest.raises(
        UserError, match=r"comes to a stop between \w+ and \w+; expected longer que"
    ):
        estimate(
            model,
            dataclasses.replace(LAYOUT, queues=dict.fromkeys(queues, 1)),
            kernels,
            followed=True,
        )


def test_alkaids_count_takes_the_place_of_a_guess() -> None:
    """Adders are tables by the shipped coefficient, whatever else is in the node."""
    model = tiny()
    (kernel,) = count_kernels(model).values()
    more = dataclasses.replace(kernel, adders=kernel.adders + 1000)
    one, two = (estimate(model, None, {"convolution": k}) for k in (kernel, more))
    wanted = 1000 * PARTS["kernel"].lut.coefficients["adders"]
    assert two.total.lut.value - one.total.lut.value == pytest.approx(wanted)
    assert wanted == pytest.approx(1000, rel=0.3)


def test_weights_without_digits_take_no_adders() -> None:
    model = tiny()
    (node,) = model.nodes
    assert isinstance(node, Convolution)
    nothing = dataclasses.replace(node, weight=torch.zeros_like(node.weight))
    empty = estimate(QuantisedModel(model.shape, model.input, (nothing,)))
    full = estimate(model)
    assert 0 < empty.total.lut.value < 0.8 * full.total.lut.value
    assert empty.kernels == {"convolution": 1}


def test_more_bits_and_fewer_zeros_take_more() -> None:
    model = tiny()
    (node,) = model.nodes
    assert isinstance(node, Convolution)
    taken = []
    for keep in (1, 2, 8):
        weight = torch.where(torch.arange(9).view(3, 3) % 9 < keep, node.weight | 5, 0)
        pruned = dataclasses.replace(node, weight=weight)
        taken.append(estimate(QuantisedModel(model.shape, model.input, (pruned,))).total.lut.value)
    assert taken == sorted(taken) and taken[0] < taken[2]


def test_a_dense_node_of_many_words_needs_lanes() -> None:
    model = branched()
    assert "first" in {node.name for node in model.nodes}
    with pytest.raises(ValueError, match=r"first reads 2 x 2 words; expected lanes, or one word"):
        estimate(model)
