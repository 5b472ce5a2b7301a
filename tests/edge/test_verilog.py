"""The Verilog itself: the same for the same network, and a line for what cannot be laid out."""

from __future__ import annotations

import dataclasses
import re

import pytest
import torch

from geocore.edge.description import QuantisedModel
from geocore.edge.nodes import IMAGES, Convolution, MaxPool
from geocore.edge.verilog import Layout, write_verilog
from tests.edge.networks import PLAIN, WEIGHT, branched, tiny

LAYOUT = Layout(lanes={"first": 2})


def test_equal_networks_give_equal_files() -> None:
    first, second = (write_verilog(branched(), LAYOUT) for _ in range(2))
    assert first.files == second.files
    assert first.files != write_verilog(branched(seed=1), LAYOUT).files


def test_every_node_is_a_module_and_every_kernel_is_without_products() -> None:
    model = branched()
    design = write_verilog(model, LAYOUT, name="chip")
    assert list(design.modules) == [node.name for node in model.nodes]
    for node, module in design.modules.items():
        head = design.files[f"{module}.v"].splitlines()[0]
        assert head.startswith(f"// {next(n.kind for n in model.nodes if n.name == node)}: ")
        assert f"{module} {node}_node (" in design.files["chip.v"]
    assert set(design.kernels) == {"halved", "same", "point", "last"}  # `first` shares multipliers
    for kernel in design.kernels.values():
        assert kernel.latency >= 1 and kernel.adders > 0
        assert not [text for text in kernel.files.values() if " * " in text]
    assert (design.input_bits, design.output[0]) == (8, (1, 1, 3))


def test_more_adders_in_a_row_take_fewer_cycles() -> None:
    model = tiny()
    deep, flat = (write_verilog(model, Layout(levels=levels)).kernels for levels in (8, 2))
    assert deep["convolution"].latency < flat["convolution"].latency


def test_an_output_that_never_moves_keeps_its_place() -> None:
    weight = torch.zeros(3, 1, 1, 1, dtype=torch.int64)
    weight[1] = 5
    node = Convolution(
        "c", (IMAGES,), weight, torch.tensor([-9, 0, 9]), WEIGHT, PLAIN, PLAIN
    )  # fmt: skip
    kernel = write_verilog(QuantisedModel((2, 2, 1), PLAIN, (node,))).kernels["c"]
    assert kernel.output == node.accumulator
    assert (
        f"output wire [{3 * node.accumulator.bits - 1}:0] model_out"
        in kernel.files[f"{kernel.name}.v"]
    )


@pytest.mark.parametrize(
    ("layout", "line"),
    [
        (Layout(levels=0), "levels is 0; expected a whole number from 1"),
        (Layout(lanes={"first": 0}), "lanes of first is 0; expected 1 to its 3 channels"),
        (Layout(), "first reads 2 x 2 words; expected lanes, or one word"),
        (Layout(lanes={"point": 1}), "lanes names point; expected a dense node of the network"),
        (Layout(lanes={"first": 4}), "lanes of first is 4; expected 1 to its 3 channels"),
        (
            Layout(lanes={"first": 1}, queues={("met", "point"): 2}),
            r"queues has 2 words on \('met', 'point'\); expected 1 or more on an edge",
        ),
    ],
)
def test_layouts_that_do_not_fit(layout: Layout, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        write_verilog(branched(), layout)


def test_names_must_be_verilogs() -> None:
    pool = MaxPool("2nd", (IMAGES,))
    model = dataclasses.replace(tiny(), nodes=(pool,))
    with pytest.raises(ValueError, match="a node is called '2nd'; expected letters, digits"):
        write_verilog(model)
    for name in ("../x", "", "geocore_fifo", "module", "logic"):
        with pytest.raises(ValueError, match=r"name is .*; expected letters, digits and undersc"):
            write_verilog(tiny(), name=name)


def named(*names: str) -> QuantisedModel:
    """Convolutions of one pixel, one behind the other."""
    nodes: list[Convolution] = []
    for name in names:
        source = nodes[-1].name if nodes else IMAGES
        weight = torch.full((1, 1, 1, 1), len(nodes) % 7 + 1)
        nodes.append(Convolution(name, (source,), weight, torch.tensor([0]), WEIGHT, PLAIN, PLAIN))
    return QuantisedModel((2, 2, 1), PLAIN, tuple(nodes))


def test_whatever_nodes_are_called_no_two_things_have_one_name() -> None:
    names = (
        "a", "a_kernel", "a_kernel_ports", "a_in0", "a_out", "b_to_c", "c", "clk", "word", "module",
        "s_axis", "m_axis", "axis", "a_node", "u_a", "a_data", "a_fork", "net", "kernel",
    )  # fmt: skip
    files = write_verilog(named(*names)).files
    declared = re.findall(r"^    wire (?:\[\d+:0\] )?([\w, ]+);", files["net.v"], re.MULTILINE)
    wires = [name for line in declared for name in line.split(", ")]
    instances = re.findall(r"^    net_\w+ (\w+) \(", files["net.v"], re.MULTILINE)
    ports = re.findall(r"put wire (?:\[\d+:0\] )?(\w+)", files["net.v"])
    everything = [*wires, *instances, *ports, "clk", "rst", "word"]
    assert len(instances) == len(names) and len(set(everything)) == len(everything)
    modules = [name for text in files.values() for name in re.findall(r"^module (\w+)", text, re.M)]
    assert len(set(modules)) == len(modules)


def test_names_that_only_case_or_a_part_of_the_design_tells_apart_are_refused() -> None:
    with pytest.raises(ValueError, match=r"net_A\.v and net_a\.v are files of two parts of"):
        write_verilog(named("a", "A"))
    with pytest.raises(ValueError, match=r"shift_adder\.v and shift_adder\.v are files of two"):
        write_verilog(branched_with("adder"), LAYOUT, name="shift")


def branched_with(name: str) -> QuantisedModel:
    """With its last node called so."""
    model = branched()
    last = dataclasses.replace(model.nodes[-1], name=name)
    return dataclasses.replace(model, nodes=(*model.nodes[:-1], last))
