"""The integer reference: a network small enough to be done by hand."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
import torch

from geocore.edge.description import QuantisedModel
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.nodes import IMAGES, Add, Concatenate, Convolution, Dense, MaxPool, Upsample
from geocore.edge.reference import reference_integers, reference_logits

PIXEL = FixedPoint(2, 2, signed=False)  # 0, 1/4, 1/2, 3/4
ACTIVATION = FixedPoint(2, 0, signed=False)  # 0, 1, 2, 3


def network() -> QuantisedModel:
    """One convolution that sums a 3x3 neighbourhood, then twice the value and its negative."""
    convolution = Convolution(
        name="convolution_0",
        sources=(IMAGES,),
        weight=torch.full((1, 1, 3, 3), 2),
        bias=torch.tensor([1]),
        weight_format=FixedPoint(3, 1, signed=True),
        input=PIXEL,
        output=ACTIVATION,
        padding=(1, 1, 1, 1),
    )
    dense = Dense(
        name="dense",
        sources=("pooling_0",),
        weight=torch.tensor([[2], [-2]]),
        bias=torch.tensor([0, 1]),
        weight_format=FixedPoint(3, 0, signed=True),
        input=ACTIVATION,
        output=None,
    )
    nodes = (convolution, MaxPool("pooling_0", ("convolution_0",)), dense)
    return QuantisedModel((2, 2, 1), PIXEL, nodes)


@pytest.mark.parametrize(
    ("pixels", "activation"),
    [
        ([0.0, 0.0, 0.0, 0.0], 0),  # 1/8 of bias: rounded away
        ([0.25, 0.0, 0.0, 0.0], 0),  # 3/8: down
        ([0.0, 0.5, 0.0, 0.0], 1),  # 5/8: up
        ([0.2, 0.3, 0.6, 0.4], 2),  # onto 1/4, 1/4, 1/2, 1/2 by ties to even: 13/8, up
        ([1.0, 1.0, 1.0, 1.0], 3),  # pixels saturate at 3/4: 25/8, down
        ([1.0, 1.0, 1.0, 0.75], 3),
    ],
)
def test_by_hand(pixels: list[float], activation: int) -> None:
    image = torch.tensor(pixels).reshape(1, 2, 2, 1)
    assert reference_logits(network(), image).tolist() == [
        [2.0 * activation, 1.0 - 2.0 * activation]
    ]


def test_nodes_against_loops() -> None:
    """Every node against its definition in plain integers, on numbers of both signs."""
    generator = torch.Generator().manual_seed(0)
    given = FixedPoint(4, 1, signed=True)
    images = torch.randint(-8, 8, (2, 5, 7, 2), generator=generator)
    weight = torch.randint(-3, 4, (3, 2, 3, 2), generator=generator)
    bias = torch.randint(-9, 10, (3,), generator=generator)
    signed, plain = FixedPoint(5, 1, signed=True), FixedPoint(3, 0, signed=False)
    model = QuantisedModel(
        (5, 7, 2),
        given,
        (
            Convolution(
                "c", (IMAGES,), weight, bias, FixedPoint(3, 2, signed=True), given, signed,
                stride=2, padding=(1, 0, 2, 1),
            ),
            MaxPool("p", (IMAGES,)),
            Upsample("u", ("p",)),
            Add("a", ("u", "u"), plain),
            MaxPool("q", ("c",), size=2),
            Concatenate("k", ("q", "q"), plain),
            Dense(
                "d", ("k",), torch.ones(1, 12).long(), torch.tensor([5]), plain,
                FixedPoint(3, 0, signed=False), None,
            ),
            Dense(
                "e", ("a",), torch.ones(1, 48).long(), torch.tensor([0]), plain,
                FixedPoint(3, 0, signed=False), None,
            ),
            Add("end", ("d", "e"), FixedPoint(9, 0, signed=False)),
        ),
    )  # fmt: skip
    found = reference_integers(model, images * given.step)

    def onto(value: int, fraction: int, grid: FixedPoint) -> int:
        """Nearest, ties to even, saturated: in rationals."""
        rounded: int = round(Fraction(value) / 2**fraction * Fraction(2) ** grid.fraction)
        return max(grid.lowest, min(grid.highest, rounded))

    for n, y, x, o in itertools.product(range(2), range(2), range(5), range(3)):
        total = int(bias[o])
        for c, i, j in itertools.product(range(2), range(3), range(2)):
            row, column = 2 * y + i - 1, 2 * x + j - 2
            if 0 <= row < 5 and 0 <= column < 7:
                total += int(weight[o, c, i, j] * images[n, row, column, c])
        assert int(found["c"][n, y, x, o]) == onto(total, 3, signed)
    assert found["c"].shape == (2, 2, 5, 3)
    for n, y, x, c in itertools.product(range(2), range(4), range(6), range(2)):
        corner = images[n, y // 2 * 2 : y // 2 * 2 + 2, x // 2 * 2 : x // 2 * 2 + 2, c]
        assert int(found["u"][n, y, x, c]) == int(corner.max())
        assert int(found["a"][n, y, x, c]) == onto(2 * int(corner.max()), 1, plain)
    joined = torch.cat([found["q"], found["q"]], dim=-1)
    assert found["k"].tolist() == joined.apply_(lambda value: onto(value, 1, plain)).tolist()
    assert found["d"].flatten().tolist() == (found["k"].sum(dim=(1, 2, 3)) + 5).tolist()
    assert reference_logits(model, images * given.step).shape == (2, 1)


def test_mistakes() -> None:
    with pytest.raises(ValueError, match=r"images are \(4, 4, 1\); expected \(2, 2, 1\)"):
        reference_logits(network(), torch.zeros(1, 4, 4, 1))


def test_a_network_may_end_with_an_image() -> None:
    model = network()
    cut = QuantisedModel(model.shape, model.input, model.nodes[:1])
    assert torch.equal(
        reference_logits(cut, torch.ones(3, 2, 2, 1)), torch.full((3, 2, 2, 1), 3.0).double()
    )
