"""The fitted temperature is the likeliest, whatever the scores' scale."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from geocore.measure.classification import nll
from geocore.measure.temperature import fit_temperature


def scores(seed: int = 0, n: int = 300, classes: int = 4) -> tuple[Tensor, Tensor]:
    """Logits and labels drawn from them: their own temperature is 1."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, classes, generator=generator).double()
    labels = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
    return logits, labels


def cost(logits: Tensor, labels: Tensor, temperature: float) -> float:
    log_p = (logits / temperature).log_softmax(dim=1)
    return float(nll(logits / temperature, labels).sum() - log_p.mean())


def test_nothing_near_it_is_likelier() -> None:
    logits, labels = scores()
    found = fit_temperature(logits, labels)
    least = cost(logits, labels, found)
    for factor in (0.5, 0.9, 0.999, 1.001, 1.1, 2):
        assert cost(logits, labels, found * factor) > least
    weights = torch.tensor(1 / found, dtype=torch.float64, requires_grad=True)
    log_p = (logits * weights).log_softmax(dim=1)
    total = nll(logits * weights, labels).sum() - log_p.mean()
    (slope,) = torch.autograd.grad(total, weights)
    assert abs(float(slope)) < 1e-10


def test_labels_drawn_from_the_scores_have_temperature_one() -> None:
    assert fit_temperature(*scores(n=20_000)) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("scale", [1e-200, 1e-3, 7.0, 1e200])
def test_it_scales_with_the_scores(scale: float) -> None:
    logits, labels = scores()
    found = fit_temperature(scale * logits, labels)
    assert found == pytest.approx(scale * fit_temperature(logits, labels), rel=1e-12)
    shifted = fit_temperature(logits + torch.arange(len(labels))[:, None] / 64, labels)
    assert shifted == pytest.approx(fit_temperature(logits, labels), rel=1e-10)


def test_where_all_is_right_it_stays_above_nought() -> None:
    labels = torch.arange(200) % 4
    logits = 0.3 * torch.nn.functional.one_hot(labels).double()
    found = fit_temperature(logits, labels)
    # Of 201 samples one is of any class: each class but the right one has p = 1 / (4 * 201).
    other = 1 / (4 * 201)
    assert found == pytest.approx(0.3 / math.log((1 - 3 * other) / other), rel=1e-12)


def test_scores_that_say_nothing() -> None:
    labels = torch.tensor([0, 1])
    assert fit_temperature(torch.zeros(2, 3), labels) == math.inf
    assert fit_temperature(torch.tensor([[0.0, 1.0], [1.0, 0.0]]), labels) == math.inf


def test_wrong_scores() -> None:
    logits, labels = scores()
    with pytest.raises(ValueError, match="labels has 2 entries; expected 300, as logits"):
        fit_temperature(logits, labels[:2])
    with pytest.raises(ValueError, match="scores has an entry nan; expected finite ones"):
        fit_temperature(logits * torch.nan, labels)
