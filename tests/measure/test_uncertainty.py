"""Entropy against its reference values."""

from __future__ import annotations

import math

import pytest
import torch

from geocore.measure.uncertainty import entropy


@pytest.mark.parametrize(
    ("members", "total", "expected"),
    [
        ([[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]], math.log(4), math.log(2)),
        ([[0.9, 0.1], [0.1, 0.9]], 0.6931, 0.3251),
    ],
)
def test_entropy_of_a_mean_and_mean_of_entropies(
    members: list[list[float]], total: float, expected: float
) -> None:
    probabilities = torch.tensor(members, dtype=torch.float64)
    assert float(entropy(probabilities.mean(dim=0))) == pytest.approx(total, abs=5e-5)
    assert float(entropy(probabilities).mean()) == pytest.approx(expected, abs=5e-5)


def test_certainty_has_none_and_uniform_has_the_most() -> None:
    assert entropy(torch.tensor([[0.0, 1.0, 0.0]])).tolist() == [0.0]
    assert float(entropy(torch.full((8,), 0.125))) == pytest.approx(math.log(8), abs=1e-15)


def test_what_is_no_distribution_is_refused() -> None:
    with pytest.raises(ValueError, match="sum to 1 within 1; expected to 1"):
        entropy(torch.ones(1, 2))
