"""Layer by layer: differences are counted, spreads and bits are what they are by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from geocore.edge.description import QuantisedModel
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.hls_profile import QUANTILES, bit_bars, differences, spreads
from geocore.edge.nodes import IMAGES, Convolution, MaxPool
from geocore.edge.preflight import corner_images
from geocore.report.bar_chart import bar_chart
from tests.edge.firmwares import compiled

GIVEN = FixedPoint(8, 4, signed=False)
WEIGHT = FixedPoint(6, 2, signed=True)
OUTPUT = FixedPoint(9, 5, signed=True)


def model() -> QuantisedModel:
    weight = torch.tensor([[-4], [12]])[..., None, None]  # 4 = 2^2 divides both
    bias = torch.tensor([0, 64])
    node = Convolution("a", (IMAGES,), weight, bias, WEIGHT, GIVEN, OUTPUT)
    return QuantisedModel((2, 2, 1), GIVEN, (node, MaxPool("b", ("a",))))


def test_differences(tmp_path: Path) -> None:
    right = model()
    firmware = compiled(right, tmp_path, trace=True)
    given = corner_images(right, 20)
    found = differences(firmware, right, given)
    assert [(row.name, row.largest, row.exact) for row in found] == [("a", 0, 1), ("b", 0, 1)]
    # A bias by 2^-5, one unit of the output, off in one of two channels.
    first = right.weighted[0]
    wrong = dataclasses.replace(first, bias=first.bias + torch.tensor([0, 2]))
    other = dataclasses.replace(right, nodes=(wrong, right.nodes[1]))
    off, pooled = differences(firmware, other, given)
    assert off.largest == 1 and pooled.largest == 1
    assert 0.5 <= off.exact < 1  # where it saturates there is no difference


def test_spreads() -> None:
    given = torch.tensor([[0.0, 1.0], [2.0, 15.0]])[None, ..., None]
    images, weights, biases, values, pooled = spreads(model(), given)
    assert [(row.name, row.what) for row in (images, weights, biases, values, pooled)] == [
        (IMAGES, "values"), ("a", "weights"), ("a", "biases"), ("a", "values"), ("b", "values"),
    ]  # fmt: skip
    # 0, 16, 32 and 240 of 2^-4: eight bits, of which the lowest four are never set.
    assert (images.bits, images.used, images.ends) == (8, 4, 0.0)
    assert dict(zip(QUANTILES, images.quantiles, strict=True))[0.5] == 1.5
    # -4 and 12: five bits with the sign, of which two are never set.
    assert (weights.bits, weights.used, weights.ends) == (6, 3, 0.0)
    assert (weights.quantiles[0], weights.quantiles[-1]) == (-1.0, 3.0)
    assert (biases.bits, biases.used) == (8, 2)  # 64 alone: a bit and a sign
    # -15 ... 0 and 1 ... 46 by 2^-5, which ends at 255/32: two of eight numbers are cut off.
    assert (values.bits, values.quantiles[0], values.quantiles[-1]) == (9, -8.0, 255 / 32)
    assert values.ends == pytest.approx(2 / 8)
    assert pooled.ends == pytest.approx(1 / 2)


def test_bars() -> None:
    rows = spreads(model(), torch.zeros(1, 2, 2, 1))
    names, groups = bit_bars(rows, "weights")
    assert names == ["a"] and groups == {"bits given": [6.0], "bits used": [3.0]}
    names, groups = bit_bars(rows, "values")
    assert names == [IMAGES, "a", "b"] and groups["bits used"][0] == 1.0
    assert bar_chart(names, groups, "bits", "bits").std() > 0
