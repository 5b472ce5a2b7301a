"""What a tool reads of a design: the module's files, all of them and no others."""

from __future__ import annotations

import pytest
import torch

from geocore.edge.description import QuantisedModel
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.nodes import IMAGES, Dense
from geocore.edge.sources import held_files
from geocore.edge.verilog import Layout, write_verilog
from tests.edge.networks import WEIGHT, branched

LAYOUT = Layout(lanes={"first": 2})


def test_a_part_is_what_its_module_needs() -> None:
    design = write_verilog(branched(), LAYOUT)
    first = design.part("net_first")
    assert sorted(first.files) == [
        "geocore_dense.v", "geocore_product.v", "geocore_requantise.v", "net__first_biases.hex",
        "net__first_weights.hex", "net_first.v",
    ]  # fmt: skip
    same = design.part("net_same").files
    assert "shift_adder.v" in same and "net_point.v" not in same
    unused = {"binop.v", "multiplier.v", "mux.v", "negative.v"}  # alkaid writes all that it has
    assert design.files.keys() - design.part("net").files.keys() <= unused


def test_tables_of_one_bit_are_part_of_their_kernel() -> None:
    """Several of a kernel's modules lie in one file then, whose name is none of theirs."""
    bit = FixedPoint(1, 0, signed=False)
    weight = torch.tensor([[3, -1, 2, 1, -3, 1], [1, 2, -3, 3, 1, -2]])
    node = Dense("d", (IMAGES,), weight, torch.tensor([1, -2]), WEIGHT, bit, None)
    design = write_verilog(QuantisedModel((1, 1, 6), bit, (node,)))
    assert "net__d_kernel_tables.v" in design.files
    assert "net__d_kernel_tables.v" in design.part("net_d").files


def test_ports_and_latency_go_with_it() -> None:
    design = write_verilog(branched(), LAYOUT)
    kernel = design.kernels["same"]
    found = design.part(kernel.name)
    assert (found.numbers, found.latency) == ({"model_inp": kernel.input.bits}, kernel.latency)
    node = design.part("net_same")
    assert node.numbers["in_data"] == kernel.input.bits and node.latency is None


def test_modules_that_are_left_out_keep_their_ports_alone() -> None:
    design = write_verilog(branched(), LAYOUT)
    joints = design.joints()
    assert joints.module == design.top
    assert "net_same.v" in joints.files and "shift_adder.v" not in joints.files
    whole, left = design.files["net_same.v"], joints.files["net_same.v"]
    head = whole[whole.index("module ") : whole.index(");") + 2]
    assert left == f"(* blackbox *)\n{head}\nendmodule\n"


def test_products_are_parts_of_their_own() -> None:
    design = write_verilog(branched(), LAYOUT, products=True)
    whole, *apart = design.parts("same")
    outputs = design.kernels["same"].apart
    assert [part.module for part in apart] == list(outputs)
    assert all(" * " in part.files[f"{part.module}.v"] for part in apart)
    assert not any(" * " in text for name, text in whole.files.items() if "output" in name)
    assert len(write_verilog(branched(), LAYOUT).parts("same")) == 1


def test_a_module_of_another_design() -> None:
    with pytest.raises(ValueError, match="module is 'net_e'; expected one of the design's"):
        held_files({"net.v": "module net (\n);\nendmodule\n"}, "net_e")
