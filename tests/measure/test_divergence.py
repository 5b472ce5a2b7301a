"""Divergences of distributions: values by hand, Bernoulli and Poisson limits, classes of 0."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torchmetrics.functional.regression import kl_divergence as peer

from geocore.measure.divergence import kl_divergence, symmetrised_kl_divergence

INF = math.inf


def log(entries: object) -> Tensor:
    return torch.tensor(entries, dtype=torch.float64).log()


def random_logs(seed: int, *shape: int, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    values = scale * torch.randn(*shape, generator=generator, dtype=torch.float64)
    return values.log_softmax(dim=-1)


def test_values_by_hand() -> None:
    p, q = log([0.5, 0.25, 0.25]), log([0.25, 0.25, 0.5])
    # .5 ln 2 + 0 - .25 ln 2 each way.
    assert float(kl_divergence(p, q)) == pytest.approx(0.25 * math.log(2), abs=1e-15)
    assert float(kl_divergence(q, p)) == pytest.approx(0.25 * math.log(2), abs=1e-15)
    assert float(symmetrised_kl_divergence(p, q)) == pytest.approx(0.5 * math.log(2), abs=1e-15)
    # Two Bernoullis p and 1 - p: (2p - 1) logit p one way, twice that both ways.
    first, second = log([0.9, 0.1]), log([0.1, 0.9])
    assert float(kl_divergence(first, second)) == pytest.approx(0.8 * math.log(9), abs=1e-14)
    both = float(symmetrised_kl_divergence(first, second))
    assert both == pytest.approx(1.6 * math.log(9), abs=1e-14)


def test_against_the_uniform_it_is_what_entropy_lacks() -> None:
    p = random_logs(0, 50, 7)
    uniform = torch.full_like(p, -math.log(7))
    lacking = math.log(7) + (p.exp() * p).sum(dim=1)
    torch.testing.assert_close(kl_divergence(p, uniform), lacking, rtol=0, atol=1e-14)


def test_both_directions_are_summed() -> None:
    p, q = random_logs(1, 4, 50, 7, scale=3), random_logs(2, 4, 50, 7, scale=3)
    one, other = kl_divergence(p, q), kl_divergence(q, p)
    both = symmetrised_kl_divergence(p, q)
    assert both.shape == (4, 50) and both.dtype == torch.float64
    torch.testing.assert_close(both, one + other, rtol=1e-13, atol=1e-13)
    assert torch.equal(both, symmetrised_kl_divergence(q, p))
    assert not torch.allclose(one, other)
    assert bool((one > 0).all())


def test_nothing_from_itself_and_second_order_nearby() -> None:
    p = random_logs(3, 20, 5)
    assert torch.equal(kl_divergence(p, p), torch.zeros(20, dtype=torch.float64))
    assert torch.equal(symmetrised_kl_divergence(p, p), torch.zeros(20, dtype=torch.float64))
    # J = sum (dp)^2 / p to second order, and its terms do not cancel: 1e-5 of some 1e-16.
    step = 1e-8 * torch.tensor([1.0, -1.0, 0, 0, 0], dtype=torch.float64)
    near = (p.exp() + step).log()
    fisher = (step.square() / p.exp()).sum(dim=1)
    torch.testing.assert_close(symmetrised_kl_divergence(p, near), fisher, rtol=1e-5, atol=0)


def test_classes_of_probability_zero() -> None:
    some, half, rest = log([0.5, 0.5, 0]), log([1, 0, 0]), log([0.25, 0.25, 0.5])
    assert float(kl_divergence(half, some)) == pytest.approx(math.log(2), abs=1e-15)
    assert float(kl_divergence(some, rest)) == pytest.approx(math.log(2), abs=1e-15)
    assert float(kl_divergence(some, half)) == INF
    assert float(symmetrised_kl_divergence(half, some)) == INF
    assert float(symmetrised_kl_divergence(some, some)) == 0
    excluded = log([[0.9, 0.1, 0], [0.1, 0.9, 0]])
    both = float(symmetrised_kl_divergence(excluded[0], excluded[1]))
    assert both == pytest.approx(1.6 * math.log(9), abs=1e-14)


def test_logarithms_reach_further_than_probabilities() -> None:
    # exp(-2000) is 0 in float64, but its logarithm is not infinite; 0 itself is out of reach.
    p, q = torch.tensor([[0.0, -2000.0], [-2000.0, 0.0]], dtype=torch.float64)
    never = torch.tensor([0.0, -INF], dtype=torch.float64)
    assert float(kl_divergence(p, q)) == 2000
    assert float(symmetrised_kl_divergence(p, q)) == 4000
    assert float(kl_divergence(p, never)) == INF
    assert float(kl_divergence(never, p)) == 0
    assert float(symmetrised_kl_divergence(p, never)) == INF


def test_float32_is_summed_in_float64() -> None:
    p, q = random_logs(4, 9, 30).float(), random_logs(5, 9, 30).float()
    found = kl_divergence(p, q)
    assert found.dtype == torch.float64
    assert torch.equal(found, kl_divergence(p.double(), q.double()))


def test_parity_with_torchmetrics() -> None:
    p, q = random_logs(6, 100, 10), random_logs(7, 100, 10)
    expected = peer(p, q, log_prob=True, reduction="none")
    assert expected is not None
    torch.testing.assert_close(kl_divergence(p, q), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("measure", [kl_divergence, symmetrised_kl_divergence])
def test_what_it_refuses(measure: object) -> None:
    assert callable(measure)
    good = log([0.5, 0.5])
    for first, second, line in [
        (good, log([0.5, 0.25, 0.25]), "log_p and log_q have shapes (2,) and (3,); "
         "expected one, (..., classes)"),
        (good.exp(), good, "log_p has logsumexp 0 within 1.19; expected 0"),
        (good, torch.tensor([math.nan, 0.0]), "log_q has logsumexp 0 within inf; expected 0"),
        (good, torch.tensor([-INF, -INF]), "log_q has logsumexp 0 within inf; expected 0"),
        (good.long(), good.long(), "log_p is torch.int64 of shape (2,); "
         "expected floats (..., classes)"),
    ]:  # fmt: skip
        with pytest.raises(ValueError) as error:
            measure(first, second)
        assert str(error.value) == line
