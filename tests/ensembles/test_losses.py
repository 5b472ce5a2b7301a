"""Losses of many members at once are those of each."""

from __future__ import annotations

import pytest
import torch

from geocore.ensembles.losses import CrossEntropy, OfObjective, SquaredError
from geocore.train.classification import Classification

F64 = torch.float64


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_is_that_of_the_training(smoothing: float) -> None:
    outputs, labels = torch.randn(4, 9, 5, dtype=F64), torch.randint(5, (4, 9))
    fast = CrossEntropy(smoothing).learned(outputs, labels)
    slow = OfObjective(Classification(5, smoothing)).learned(outputs, labels)
    torch.testing.assert_close(fast.loss, slow.loss, atol=1e-14, rtol=0)
    torch.testing.assert_close(fast.mean, slow.mean, atol=1e-14, rtol=0)
    assert fast.weight.tolist() == slow.weight.tolist() == [9] * 4
    assert (fast.loss - fast.mean).abs().max() < 1e-14 or smoothing


def test_squared_error() -> None:
    outputs, targets = torch.randn(3, 6, 2, dtype=F64), torch.randn(3, 6, 2, dtype=F64)
    found = SquaredError().learned(outputs, targets)
    for member in range(3):
        expected = torch.nn.functional.mse_loss(outputs[member], targets[member])
        assert float(found.loss[member]) == pytest.approx(float(expected), abs=1e-14)
    score = SquaredError().score()
    score.add(outputs[0, :4], targets[0, :4])
    score.add(outputs[0, 4:], targets[0, 4:])
    assert score.values()["val_mse"] == pytest.approx(float(found.loss[0]), abs=1e-14)
    with pytest.raises(ValueError, match="outputs and targets have shapes"):
        SquaredError().learned(outputs, targets[..., :1])
