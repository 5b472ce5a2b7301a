"""The integer reference: a network small enough to be done by hand."""

from __future__ import annotations

import pytest
import torch

from geocore.edge.description import QuantisedLayer, QuantisedModel
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.reference import reference_logits

PIXEL = FixedPoint(2, 2, signed=False)  # 0, 1/4, 1/2, 3/4
ACTIVATION = FixedPoint(2, 0, signed=False)  # 0, 1, 2, 3


def network() -> QuantisedModel:
    """One convolution that sums a 3x3 neighbourhood, then twice the value and its negative."""
    convolution = QuantisedLayer(
        name="convolution_0",
        kind="convolution",
        weight=torch.full((1, 1, 3, 3), 2),
        bias=torch.tensor([1]),
        weight_format=FixedPoint(3, 1, signed=True),
        input=PIXEL,
        output=ACTIVATION,
    )
    dense = QuantisedLayer(
        name="dense",
        kind="dense",
        weight=torch.tensor([[2], [-2]]),
        bias=torch.tensor([0, 1]),
        weight_format=FixedPoint(3, 0, signed=True),
        input=ACTIVATION,
        output=None,
    )
    return QuantisedModel((2, 2, 1), PIXEL, (convolution, dense))


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


def test_mistakes() -> None:
    with pytest.raises(ValueError, match=r"images are \(4, 4, 1\); expected \(2, 2, 1\)"):
        reference_logits(network(), torch.zeros(1, 4, 4, 1))
    model = network()
    cut = QuantisedModel(model.shape, model.input, model.layers[:1])
    with pytest.raises(ValueError, match="the model's last layer has an output format"):
        reference_logits(cut, torch.zeros(1, 2, 2, 1))
