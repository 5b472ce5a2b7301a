"""Netlists beside their Verilog: the same, and found out where one bit of one table is not."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import torch

from geocore.edge.description import QuantisedModel
from geocore.edge.equivalence import equivalent
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.nodes import IMAGES, Dense
from geocore.edge.synthesis import Netlist, Resources, synthesise
from geocore.edge.verilog import Design, Layout, write_verilog
from geocore.errors import UserError

SIGNED = FixedPoint(3, 0, signed=True)


@pytest.fixture(scope="module")
def small() -> Design:
    """Sums of three numbers and of two, signs, an output that never moves."""
    weight = torch.tensor([[3, -1, 1], [1, 2, -3], [0, 0, 0], [-1, -1, 0]])
    node = Dense(
        "d", (IMAGES,), weight, torch.tensor([1, -2, 5, 0]), SIGNED, SIGNED,
        FixedPoint(3, -1, signed=False),
    )  # fmt: skip
    return write_verilog(QuantisedModel((1, 1, 3), SIGNED, (node,)))


@pytest.fixture(scope="module")
def netlist(small: Design, tmp_path_factory: pytest.TempPathFactory) -> Netlist:
    return synthesise(small.part(small.kernels["d"].name), tmp_path_factory.mktemp("d"))


def test_a_kernel_and_its_netlist_are_one(small: Design, netlist: Netlist, tmp_path: Path) -> None:
    found = equivalent(small.part(small.kernels["d"].name), netlist, tmp_path, vectors=2_000)
    assert (found.module, found.vectors) == (small.kernels["d"].name, 2_000)
    # Of four outputs of as many bits, one never moves; all others do in nearly all their bits.
    assert 0.6 < found.moved <= 0.75
    assert "LUT6_2" in netlist.verilog  # a sum of three numbers in one row


def test_one_bit_of_one_table_is_found(small: Design, netlist: Netlist, tmp_path: Path) -> None:
    table = re.search(r"\.INIT\(64'h[0-9a-f]{15}([0-9a-f])\)", netlist.verilog)
    assert table is not None
    place = table.start(1)
    digit = f"{int(table[1], 16) ^ 1:x}"  # of the row in which all inputs are 0
    text = netlist.verilog[:place] + digit + netlist.verilog[place + 1 :]
    broken = dataclasses.replace(netlist, verilog=text)
    line = r"ports: its netlist differs in bit \d+ of model_out for vector \d+, 0x[0-9a-f]+; expec"
    with pytest.raises(UserError, match=line):
        equivalent(small.part(small.kernels["d"].name), broken, tmp_path, vectors=2_000)


def test_mistakes(small: Design, tmp_path: Path) -> None:
    netlist = Netlist("net_d", "", Resources(0, 0, 0, 0, 0.0), "none")
    with pytest.raises(ValueError, match="netlist is of net_d; expected net__d_kernel's"):
        equivalent(small.part("net__d_kernel"), netlist, tmp_path)
    with pytest.raises(ValueError, match="vectors is 0; expected at least 1"):
        equivalent(small.part("net_d"), netlist, tmp_path, vectors=0)


@pytest.mark.slow
def test_multipliers_that_are_shared_in_time_and_their_netlist_are_one(tmp_path: Path) -> None:
    """Values of two words, a step of two numbers a cycle: whole sums among the vectors."""
    draw = torch.Generator().manual_seed(0)
    weight = torch.randint(-7, 8, (3, 8), generator=draw)
    given, narrow = FixedPoint(3, 1, signed=False), FixedPoint(4, 2, signed=True)
    node = Dense("d", (IMAGES,), weight, torch.tensor([9, -9, 0]), narrow, given, None)
    design = write_verilog(QuantisedModel((1, 2, 4), given, (node,)), Layout(lanes={"d": 2}))
    netlist = synthesise(design.part("net_d"), tmp_path / "netlist")
    found = equivalent(design.part("net_d"), netlist, tmp_path / "same", vectors=2_000)
    assert found.moved > 0.9
    one = re.search(r"\.INIT\(64'h([0-9a-f]{16})\)", netlist.verilog)
    assert one is not None
    turned = f"{int(one[1], 16) ^ (1 << 64) - 1:016x}"
    text = netlist.verilog[: one.start(1)] + turned + netlist.verilog[one.end(1) :]
    broken = dataclasses.replace(netlist, verilog=text)
    with pytest.raises(UserError, match=r"net_d: its netlist differs in bit"):
        equivalent(design.part("net_d"), broken, tmp_path / "broken", vectors=2_000)
