"""The Brier score's parts: their sum, and forecasts whose parts are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from geocore.measure.brier_parts import brier_parts
from geocore.measure.classification import brier


def forecasts(seed: int, n: int, classes: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(n, classes, generator=generator, dtype=torch.float64)
    labels = torch.randint(classes, (n,), generator=generator)
    return (2 * scores).softmax(dim=1), labels


@pytest.mark.parametrize("bins", [1, 4, 15])
@pytest.mark.parametrize(("n", "classes"), [(1, 2), (200, 2), (500, 10)])
def test_the_parts_sum_to_the_score(bins: int, n: int, classes: int) -> None:
    probabilities, labels = forecasts(0, n, classes)
    parts = brier_parts(probabilities, labels, bins)
    assert parts.score == pytest.approx(float(brier(probabilities, labels).mean()), abs=1e-14)
    assert parts.reliability >= 0 and parts.resolution >= 0 and parts.uncertainty >= 0


def test_two_forecasts_by_hand() -> None:
    # .8 said four times and true three, .4 said four times and true once.
    one = torch.tensor([0.8] * 4 + [0.4] * 4, dtype=torch.float64)
    labels = torch.tensor([0, 0, 0, 1, 0, 1, 1, 1])
    parts = brier_parts(torch.stack([one, 1 - one], dim=1), labels, 10)
    assert parts.reliability == pytest.approx(0.05**2 + 0.15**2, abs=1e-15)
    assert parts.resolution == pytest.approx(2 * 0.25**2, abs=1e-15)
    assert parts.uncertainty == pytest.approx(0.5, abs=1e-15)
    assert parts.within == pytest.approx(0, abs=1e-15)


def test_sure_and_right_has_uncertainty_resolved() -> None:
    labels = torch.tensor([0, 1, 2, 2])
    parts = brier_parts(torch.eye(3, dtype=torch.float64)[labels], labels)
    assert parts.uncertainty == pytest.approx(1 - (1 + 1 + 4) / 16, abs=1e-15)
    assert parts.resolution == pytest.approx(parts.uncertainty, abs=1e-15)
    assert (parts.reliability, parts.within) == (0, 0)


def test_saying_the_rates_of_the_classes_has_uncertainty_alone() -> None:
    labels = torch.tensor([0] * 5 + [1] * 3 + [2] * 2)
    rates = torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64).expand(10, 3)
    parts = brier_parts(rates, labels)
    assert parts.score == pytest.approx(parts.uncertainty, abs=1e-15)
    assert parts.reliability == pytest.approx(0, abs=1e-30)
    assert parts.resolution == pytest.approx(0, abs=1e-30)


def test_within_is_what_a_bin_hides() -> None:
    # .6 and 1 in one bin, right in both cases: Var p 2 * .04, no covariance as outcomes are equal.
    one = torch.tensor([0.6, 1.0], dtype=torch.float64)
    parts = brier_parts(torch.stack([one, 1 - one], dim=1), torch.tensor([0, 0]), 1)
    assert parts.within == pytest.approx(0.08, abs=1e-15)
    assert parts.reliability == pytest.approx(0.08, abs=1e-15)


def test_what_it_refuses() -> None:
    probabilities, labels = forecasts(1, 4, 3)
    with pytest.raises(ValueError, match=r"^bins is 0; expected at least 1$"):
        brier_parts(probabilities, labels, 0)
    with pytest.raises(ValueError, match=r"^probabilities sum to 1 within 1; expected to 1$"):
        brier_parts(2 * probabilities, labels)
    with pytest.raises(ValueError, match=r"^labels has 3 entries; expected 4"):
        brier_parts(probabilities, labels[:3])
