"""Bits: what may be asked for, and single layers' own."""

from __future__ import annotations

from typing import Any

import pytest

from geocore.edge.bits import Bits, LayerBits


def test_a_layer_may_have_its_own() -> None:
    bits = Bits(6, 5, layers={"head": LayerBits("ternary"), "one": LayerBits(activations=8)})
    assert [bits.weights_of(name) for name in ("head", "one", "two")] == ["ternary", 6, 6]
    assert [bits.activations_of(name) for name in ("head", "one", "two")] == [5, 8, 5]
    bits.require(["head", "one", "two"])
    with pytest.raises(ValueError, match="layers has one; expected one of head, two"):
        bits.require(["head", "two"])


@pytest.mark.parametrize("wrong", [1, 17, True, 4.0])
def test_bits_out_of_range(wrong: Any) -> None:
    for make in (lambda: Bits(wrong, 4), lambda: Bits(4, wrong), lambda: LayerBits(wrong)):
        with pytest.raises(ValueError, match=rf"is {wrong}; expected 2 to 16 bits"):
            make()
    with pytest.raises(ValueError, match="inputs is 0; expected 1 to 16 bits"):
        Bits(4, 4, 0)
    unknown: Any = "unary"
    with pytest.raises(ValueError, match="weights is 'unary'; expected binary, ternary or bits"):
        Bits(unknown, 4)
