"""Networks of plain products: bit by bit the reference, and counted in the chip's multipliers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from geocore.edge.description import QuantisedModel
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.nodes import IMAGES, Convolution, Dense
from geocore.edge.product_kernel import product_kernel
from geocore.edge.reference import reference_integers
from geocore.edge.simulation import build_simulator
from geocore.edge.synthesis import Resources, synthesise
from geocore.edge.verilog import Design, Layout, write_verilog

WIDE = FixedPoint(12, 8, signed=True)
PLAIN = FixedPoint(10, 6, signed=False)


def network() -> QuantisedModel:
    """Both signs, an output without a weight, one without a bias, and shared multipliers."""
    draw = torch.Generator().manual_seed(0)
    kernel = torch.randint(-2047, 2048, (3, 1, 2, 2), generator=draw)
    kernel[1] = 0
    matrix = torch.randint(-2047, 2048, (2, 12), generator=draw)
    last = torch.tensor([[-2047, 0], [1500, 1025], [-3, 0]])
    nodes = (
        Convolution("c", (IMAGES,), kernel, torch.tensor([9, -7, 0]), WIDE, WIDE, PLAIN),
        Dense("shared", ("c",), matrix, torch.tensor([400, -400]), WIDE, PLAIN, PLAIN),
        Dense("d", ("shared",), last, torch.tensor([5, -5, 0]), WIDE, PLAIN, None),
    )
    return QuantisedModel((3, 3, 1), WIDE, nodes)


def written() -> Design:
    return write_verilog(network(), Layout(lanes={"shared": 1}), products=True)


def test_a_network_of_products_is_the_reference(tmp_path: Path) -> None:
    model = network()
    design = written()
    assert design.files == written().files
    draw = torch.Generator().manual_seed(1)
    images = (torch.rand(40, *model.shape, generator=draw) - 0.5) * 16
    wanted = reference_integers(model, images)["d"]
    simulator = build_simulator(design, tmp_path / "simulation")
    assert torch.equal(simulator.run(images).integers, wanted)
    waited = simulator.run(images, give=150, take=90, seed=2)
    assert torch.equal(waited.integers, wanted)
    assert len(wanted.flatten().unique()) > 15


@pytest.mark.slow
def test_every_product_is_a_slice_and_parts_are_the_whole(tmp_path: Path) -> None:
    """What a kernel holds apart is counted by itself; the rest takes what the whole takes more."""
    design = written()
    parts = [
        synthesise(part, tmp_path / part.module, dsp=True).resources for part in design.parts("d")
    ]
    whole = synthesise(design.part("net_d"), tmp_path / "whole", dsp=True).resources
    assert len(parts) == 4 and sum(parts, Resources(0, 0, 0, 0, 0.0)) == whole
    assert whole.dsp == 4 and parts[0].dsp == 0 < parts[0].ff


def test_a_kernel_has_an_output_a_module_and_no_product_with_zero() -> None:
    node = network().nodes[2]
    assert isinstance(node, Dense)
    kernel = product_kernel("k", node, node.weight)
    assert set(kernel.files) == {"k.v", "k_output0.v", "k_output1.v", "k_output2.v"}
    assert [kernel.files[f"k_output{n}.v"].count(" * ") for n in range(3)] == [1, 2, 1]
    assert kernel.latency == 3  # products; three numbers with the bias in two rows
    assert kernel.output == node.accumulator


def test_a_layout_of_another_network() -> None:
    with pytest.raises(ValueError, match="lanes names other; expected a dense node"):
        write_verilog(network(), Layout(lanes={"other": 1}), products=True)
