"""Heads: targets of mean 0, and answers in the labels' own terms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from geocore.kernels.heads import ClassificationHead, Head, RegressionHead
from geocore.kernels.regression import Regressor, posterior
from geocore.measure.classification import nll


def numbers(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_classes_come_back_from_their_targets() -> None:
    head: Head = ClassificationHead(4)
    labels = torch.tensor([2, 0, 3, 3])
    y = head.targets(labels)
    assert float(y.sum(dim=1).abs().max()) < 1e-15
    assert torch.equal(head.predicted(y), labels)


def test_the_fitted_temperature_is_likelier_than_its_neighbours() -> None:
    """And unlike them on held-out scores: shrunk by ten, it is ten times smaller."""
    mean, labels = numbers(0, 300, 3), torch.arange(300) % 3
    mean[torch.arange(300), labels] += 0.7
    head = ClassificationHead(3).fitted(mean, labels)
    at = {t: float(nll(mean / t, labels).mean()) for t in (0.7, head.temperature, 1.4)}
    assert at[head.temperature] <= min(at.values())
    torch.testing.assert_close(head.logits(mean), mean / head.temperature, rtol=1e-15, atol=0)
    small = ClassificationHead(3).fitted(mean / 10, labels)
    assert small.temperature == pytest.approx(head.temperature / 10, rel=1e-6)
    assert torch.equal(small.predicted(mean / 10), mean.argmax(dim=1))


def test_an_endless_temperature_keeps_the_order() -> None:
    head, mean = ClassificationHead(3, math.inf), numbers(0, 5, 3)
    probabilities = head.logits(mean).softmax(dim=1)
    torch.testing.assert_close(probabilities, torch.full_like(mean, 1 / 3), rtol=0, atol=1e-6)
    assert torch.equal(probabilities.argmax(dim=1), mean.argmax(dim=1))
    assert bool(head.logits(torch.zeros(2, 3)).isfinite().all())


def test_values_are_standardised_and_come_back() -> None:
    values = numbers(1, 40, 2) * torch.tensor([3.0, 0.01]) + torch.tensor([100.0, -5.0])
    head = RegressionHead.of(values)
    y = head.targets(values)
    torch.testing.assert_close(y.mean(dim=0), torch.zeros(2).double(), rtol=0, atol=1e-13)
    torch.testing.assert_close(y.square().mean(dim=0), torch.ones(2).double(), rtol=1e-12, atol=0)
    torch.testing.assert_close(head.predicted(y), values, rtol=1e-14, atol=0)
    constant = RegressionHead.of(torch.full((3, 1), 0.1))
    assert float(constant.targets(torch.full((3, 1), 0.1)).abs().max()) < 1e-15


def test_units_go_through_a_regression() -> None:
    """In metres or millimetres: the same prediction, a variance of 1e6 times."""
    x, values = numbers(0, 12, 20), numbers(1, 12, 1)
    gram, cross = x @ x.T, numbers(2, 3, 20) @ x.T
    prior = torch.full((3,), 25.0, dtype=torch.float64)
    found = []
    for unit in (1.0, 1000.0):
        head = RegressionHead.of(unit * values)
        mean, variance = posterior(
            Regressor.of(gram, 0.1), cross, prior, head.targets(unit * values)
        )
        found.append((head.predicted(mean), head.variance(variance)))
    torch.testing.assert_close(found[1][0], 1000 * found[0][0], rtol=1e-11, atol=0)
    torch.testing.assert_close(found[1][1], 1e6 * found[0][1], rtol=1e-11, atol=0)
    assert found[0][1].shape == (3, 1) and float(found[0][1].max()) > 0


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_integers_of_any_size_are_labels(dtype: torch.dtype) -> None:
    found = ClassificationHead(3).targets(torch.tensor([0, 2], dtype=dtype))
    expected = torch.tensor([[2.0, -1, -1], [-1, -1, 2]], dtype=torch.float64) / 3
    torch.testing.assert_close(found, expected, rtol=1e-15, atol=0)


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (torch.tensor([0, 3]), "labels has 3 at place 1; expected 0 to 2"),
        (torch.tensor([-1, 0]), "labels has -1 at place 0; expected 0 to 2"),
        (torch.tensor([0.0, 1.0]), r"labels is float32 of shape \(2,\); expected integers \(n,\)"),
        (torch.tensor([True]), r"labels is bool of shape \(1,\); expected integers"),
        (torch.tensor([[0], [1]]), r"labels is int64 of shape \(2, 1\); expected integers \(n,\)"),
    ],
)
def test_what_are_no_labels(labels: Tensor, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        ClassificationHead(3).targets(labels)


def test_wrong_input_is_named() -> None:
    head = RegressionHead.of(torch.rand(4, 2))
    with pytest.raises(ValueError, match=r"values has shape \(4,\); expected \(n, 2\)"):
        head.targets(torch.rand(4))
    with pytest.raises(ValueError, match=r"classes and temperature are 1 and 1.0; expected"):
        ClassificationHead(1)
    with pytest.raises(ValueError, match="classes and temperature are 3 and nan; expected"):
        ClassificationHead(3, math.nan)
    with pytest.raises(ValueError, match=r"values has shape \(3,\); expected finite \(n, out"):
        RegressionHead.of(torch.zeros(3))
