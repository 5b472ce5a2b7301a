"""Layouts: no dense node holds the images up, and none has more lanes than that takes."""

from __future__ import annotations

import pytest
import torch

from geocore.edge.dataflow import Timing, flow
from geocore.edge.description import QuantisedModel
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.layout import choose_lanes, choose_layout
from geocore.edge.nodes import IMAGES, Dense
from geocore.edge.verilog import write_verilog
from geocore.errors import UserError
from tests.edge.networks import PLAIN, SIGNED, WEIGHT, branched


def dense(name: str, source: str, grid: FixedPoint, taken: int, out: int, every: int = 1) -> Dense:
    """Weights of 5, all but every so manieth of them zero."""
    weight = torch.where(torch.arange(out * taken) % every == 0, 5, 0).view(out, taken)
    bias = torch.zeros(out, dtype=torch.int64)
    return Dense(name, (source,), weight, bias, WEIGHT, grid, PLAIN)


def test_as_few_lanes_as_the_pixels_leave_time_for() -> None:
    # 4 x 5 words of 6 channels a value: 20 pixels a value, so every word must go in one cycle.
    tight = QuantisedModel((4, 5, 6), SIGNED, (dense("d", IMAGES, SIGNED, 120, 3),))
    assert choose_lanes(tight) == {"d": 6}
    timing = Timing({}, {"d": 6})
    assert flow(tight, timing, images=4).interval == 20
    assert flow(tight, Timing({}, {"d": 5}), images=4).interval == 40


def test_kernels_where_they_are_smaller_or_faster() -> None:
    first = dense("first", IMAGES, SIGNED, 12, 30)
    model = QuantisedModel((3, 4, 1), SIGNED, (first, dense("last", "first", PLAIN, 30, 30)))
    assert choose_lanes(model) == {"first": 1, "last": 3}  # 12 pixels: 10 steps of 30 numbers
    assert choose_lanes(model, dense_cycles=16) == {"first": 1, "last": 5}
    assert choose_lanes(model, dense_cycles=11) == {"first": 1}
    sparse = QuantisedModel(
        (3, 4, 1), SIGNED, (first, dense("last", "first", PLAIN, 30, 30, every=30))
    )
    assert choose_lanes(sparse) == {"first": 1}
    with pytest.raises(UserError, match="dense_cycles is 3; expected at least 10 for this network"):
        choose_lanes(model, dense_cycles=3)


def test_a_network_with_joins_gets_its_queues_and_runs_at_full_speed() -> None:
    model = branched()
    layout = choose_layout(model)
    assert set(layout.queues) <= {
        ("halved", "met"), ("pooled", "met"), ("same", "sum"), ("met", "sum"),
    }  # fmt: skip
    assert ("met", "sum") in layout.queues and layout.lanes["first"] >= 1
    kernels = write_verilog(model, layout).kernels
    latency = {name: kernel.latency for name, kernel in kernels.items()}
    timing = Timing(latency, layout.lanes, layout.queues)
    found = flow(model, timing, images=4)
    assert not found.stopped and found.interval == 63  # that of its widest scan


def test_mistakes() -> None:
    with pytest.raises(ValueError, match="levels is 0; expected a whole number from 1"):
        choose_layout(branched(), levels=0)
