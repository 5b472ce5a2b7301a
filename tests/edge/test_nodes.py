"""Doors of the nodes: what no chip could do is refused when it is said, by the node's name."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

from geocore.edge.description import QuantisedModel
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.nodes import IMAGES, Add, Convolution, Dense, MaxPool, Node, Upsample, is_whole
from geocore.edge.reference import reference_integers
from tests.edge.networks import PLAIN, branched, tiny

WORD: Any = IMAGES


def convolution(**changed: Any) -> Convolution:
    found = tiny().nodes[0]
    assert isinstance(found, Convolution)
    return dataclasses.replace(found, **changed)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: convolution(stride=0), "stride of convolution is 0; expected a whole number from"),
        (lambda: convolution(stride=True), "stride of convolution is True; expected a whole"),
        (lambda: convolution(stride=1.5), "stride of convolution is 1.5; expected a whole"),
        (lambda: convolution(padding=(0, -1, 0, 0)), "padding of convolution is -1; expected a"),
        (lambda: convolution(padding=[0, 0, 0, 0]), r"padding of convolution is \[0, 0, 0, 0\]; e"),
        (lambda: convolution(padding=(1, 1)), r"padding of convolution is \(1, 1\); expected a tu"),
        (
            lambda: convolution(weight=torch.ones(2, 18).long()),
            r"weight of convolution has shape \(2, 18\); expected 4 axes, none empty",
        ),
        (
            lambda: convolution(weight=torch.ones(2, 0, 3, 3).long()),
            r"weight of convolution has shape \(2, 0, 3, 3\); expected 4 axes, none empty",
        ),
        (lambda: MaxPool("p", (IMAGES,), size=0), "size of p is 0; expected a whole number from 1"),
        (lambda: Upsample("u", (IMAGES,), factor=0), "factor of u is 0; expected a whole number"),
        (lambda: MaxPool("", (IMAGES,)), "a node's name is ''; expected a word"),
        (lambda: MaxPool("p", WORD), "sources of p are 'images'; expected a tuple of names"),
    ],
)
def test_numbers_that_no_node_can_have(make: Callable[[], Node], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        make()


def wide(bits: int, inputs: int = 2) -> Dense:
    """Weights and inputs at their largest: sums of ``inputs (2^31 - 1)(2^bits - 1)``."""
    weight = torch.full((1, inputs), 2**31 - 1)
    grid = FixedPoint(bits, 0, signed=False)
    bias = torch.tensor([0])
    return Dense("d", (IMAGES,), weight, bias, FixedPoint(32, 0, signed=True), grid, None)


def test_sums_are_exact_or_refused() -> None:
    node = wide(21)  # 2 x 2^31 x 2^21, a little less than 2^53
    model = QuantisedModel((1, 1, 2), node.input, (node,))
    images = torch.tensor([2**21 - 1, 2**21 - 2]).view(1, 1, 1, 2)
    found = reference_integers(model, images)["d"].item()
    assert found == (2**31 - 1) * (2**22 - 3) and node.accumulator.bits == 54
    with pytest.raises(ValueError, match=r"sums of d reach 1\.8e\+16; expected less than 2\^53: "):
        wide(22)
    grid = FixedPoint(30, 26, signed=False)
    with pytest.raises(ValueError, match=r"s adds .* which takes 57 bits; expected at most 53"):
        Add("s", (IMAGES, "d"), PLAIN).grid([grid, FixedPoint(30, 0, signed=True)])
    assert Add("s", (IMAGES, "d"), PLAIN).grid([grid, grid]) == PLAIN


def test_whole_numbers() -> None:
    assert is_whole(1, 1) and is_whole(0, 0) and is_whole(-3, -3)
    assert not any(is_whole(value, 0) for value in (-1, 0.0, True, "1", None))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"stride": "2"}, "stride of halved is '2'; expected a whole number from 1"),
        ({"padding": 1}, "padding of halved is 1; expected a tuple of four"),
        ({"kind": "pool"}, "kind of halved is 'pool'; expected one of convolution, dense, "),
        (
            {"output": {"bits": 3.0, "fraction": 1, "signed": False}},
            "output of halved is .*; expected whole bits and fraction, signed true or false",
        ),
        (
            {"output": {"bits": 3, "fraction": 1}},
            "output of halved is .*; expected whole bits and fraction, signed true or false",
        ),
        ({"output": "u3"}, "output of halved is 'u3'; expected whole bits and fraction, signed"),
        ({"weight_format": None}, "weight_format of halved is None; expected whole bits and"),
        ({"stride": None}, "stride of halved is None; expected a whole number from 1"),
    ],
)
def test_files_with_other_types_are_refused(change: dict[str, Any], line: str) -> None:
    model = branched()
    about = json.loads(model.about())
    about["nodes"][0] |= change
    with pytest.raises(ValueError, match=line):
        QuantisedModel.join(json.dumps(about), model.tensors())


def test_a_shape_is_three_whole_numbers() -> None:
    about = json.loads(tiny().about())
    for shape in ([4, 5.0, 2], [4, 0, 2], [4, 5, "2"]):
        text = json.dumps(about | {"shape": shape})
        with pytest.raises(ValueError, match=r"shape is .*; expected \(height, width, channels\)"):
            QuantisedModel.join(text, tiny().tensors())
