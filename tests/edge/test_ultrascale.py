"""The chip's own adder of three numbers: its tables, by hand."""

from __future__ import annotations

import itertools

import pytest

from geocore.edge.kernels import adder_kernel
from geocore.edge.nodes import Weighted
from geocore.edge.ultrascale import for_ultrascale, lut_table
from tests.edge.networks import tiny


@pytest.mark.parametrize(
    "turned", [(False, False, False), (True, False, False), (False, True, True)]
)
def test_a_table_is_a_full_adder_and_a_half(turned: tuple[bool, bool, bool]) -> None:
    table = lut_table(*turned)
    for bits in itertools.product((0, 1), repeat=5):
        row = sum(bit << place for place, bit in enumerate(bits))
        numbers = [bit ^ turn for bit, turn in zip(bits, turned, strict=False)]
        save, parity = divmod(sum(numbers), 2)
        assert table >> row & 1 == save
        assert table >> row + 32 & 1 == parity ^ bits[3]


def test_only_sums_of_three_are_exchanged() -> None:
    node = tiny().nodes[0]
    assert isinstance(node, Weighted)
    kernel = adder_kernel("k", node, node.weight.permute(0, 2, 3, 1).flatten(1))
    files = kernel.files | kernel.shared
    found = for_ultrascale(files)
    assert {name for name in files if files[name] != found[name]} == {"ternary_adder.v"}
    assert for_ultrascale({"a.v": ""}) == {"a.v": ""}
