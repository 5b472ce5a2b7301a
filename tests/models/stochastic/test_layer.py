"""Noise that is given or drawn, and the moments of the weights that are really used."""

from __future__ import annotations

import math

import pytest
import torch

from geocore.models.initial import initialise
from geocore.models.stochastic.layer import ChoosingLayer, DroppingLayer, StochasticLayer
from geocore.models.stochastic.linear import DropoutLinear, NonparametricLinear
from tests.models.stochastic.families import CONVOLUTIONS, F64, LINEAR, filled, noise, outcomes

ALL = {f"linear-{k}": v for k, v in LINEAR.items()} | {
    f"convolution-{k}": v for k, v in CONVOLUTIONS.items()
}


@pytest.mark.parametrize("name", ALL)
def test_the_matching_coefficient_is_the_expectation_exactly(name: str) -> None:
    layer = filled(ALL[name])
    p = layer.p if isinstance(layer, DroppingLayer) else 0.5
    assert math.prod(layer.noise_shape) <= 16, "too many outcomes to go through"
    u, odds = outcomes(layer, p)
    assert float(odds.sum()) == pytest.approx(1, abs=1e-12)
    theta, biases = layer.realised(u)
    used = {"weight": theta} if biases is None else {"weight": theta, "bias": biases}
    found = {
        key: float(odds @ one.detach().square().flatten(1).sum(1)) for key, one in used.items()
    }
    norms = {key: float(one.detach().square().sum()) for key, one in layer.named_parameters()}
    c = layer.coefficients("matching")
    assert found == pytest.approx({key: c[key] * norms[key] for key in norms}, rel=1e-12)
    first = torch.tensordot(odds, theta.detach(), 1)
    weight = layer.weight.detach()
    mean = weight.mean(0) if isinstance(layer, ChoosingLayer) else weight
    if isinstance(layer, DroppingLayer) and not layer.rescale:
        mean = mean * (1 - p)
    torch.testing.assert_close(first, mean, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", ALL)
def test_drawn_weights_have_that_moment_within_a_hundredth(name: str) -> None:
    layer = filled(ALL[name])
    torch.manual_seed(0)
    theta, _ = layer.realised(torch.rand(40_000, *layer.noise_shape))
    found = float(theta.detach().square().flatten(1).sum(1).mean())
    expected = layer.coefficients("matching")["weight"] * float(
        layer.weight.detach().square().sum()
    )
    assert found == pytest.approx(expected, rel=0.01)  # standard errors are 0.1 to 0.4 %


def test_published_coefficients() -> None:
    for rescale, matching in ((True, 1 / 0.7), (False, 0.7)):
        layer = DropoutLinear(3, 2, 0.3, rescale)
        assert layer.coefficients("matching") == {"weight": pytest.approx(matching), "bias": 1.0}
        assert layer.coefficients("published") == {"weight": pytest.approx(0.7), "bias": 1.0}
    for form in ("matching", "published"):
        assert NonparametricLinear(3, 2).coefficients(form) == {"weight": 0.5, "bias": 0.5}
        assert NonparametricLinear(3, 2, bias=False).coefficients(form) == {"weight": 0.5}
    with pytest.raises(ValueError, match="form is 'both'; expected 'matching' or 'published'"):
        layer.coefficients("both")  # type: ignore[arg-type]


@pytest.mark.parametrize("training", [True, False])
def test_forward_uses_the_noise_that_is_given_else_draws_it(training: bool) -> None:
    layer = filled(LINEAR["dropout"]).train(training)
    x = torch.randn(5, 3, dtype=F64)
    layer.noise = noise(layer, 5)
    assert torch.equal(layer(x), layer.sample(x, layer.noise))
    assert torch.equal(layer(x), layer(x)) and "noise" not in layer.state_dict()
    layer.noise = None
    torch.manual_seed(3)
    drawn = layer(x)
    torch.manual_seed(3)
    assert torch.equal(drawn, layer.sample(x, torch.rand(5, 3)))
    assert not torch.equal(drawn, layer(x))
    layer.noise = noise(layer, 4)
    with pytest.raises(ValueError, match=r"noise has shape \(4, 3\); expected \(5, 3\)"):
        layer(x)


def test_the_noise_is_float32_whatever_the_weights_and_the_default_are() -> None:
    layer, x = filled(LINEAR["nonparametric"]), torch.randn(6, 3, dtype=F64)
    torch.manual_seed(0)
    expected = layer(x)
    torch.set_default_dtype(F64)
    try:
        torch.manual_seed(0)
        assert torch.equal(layer(x), expected)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("name", ALL)
def test_samples_of_a_batch_have_weights_of_their_own(name: str) -> None:
    layer = filled(ALL[name])
    theta = layer.realised(noise(layer, 64))[0].detach().flatten(1)
    assert len(theta.unique(dim=0)) >= 5  # 8 or more outcomes, 64 draws
    x = torch.randn(1, layer.theta_shape[1], *[5] * (len(layer.theta_shape) - 2), dtype=F64)
    same = layer.sample(x.expand(64, *x.shape[1:]), noise(layer, 64)).detach().flatten(1)
    assert len(same.unique(dim=0)) >= 5


@pytest.mark.parametrize("make", [*LINEAR.values(), *CONVOLUTIONS.values()])
def test_the_seed_decides_the_first_weights(make: object) -> None:
    assert callable(make)
    first, again, other = make(), make(), make()
    for layer, seed in ((first, 1), (again, 1), (other, 2)):
        assert isinstance(layer, StochasticLayer)
        initialise(layer, seed)
    assert torch.equal(first.weight, again.weight)
    assert not torch.equal(first.weight, other.weight)
    assert first.bias is None or not first.bias.any()


def test_first_weights_have_variance_one_over_fan_in_and_sets_are_independent() -> None:
    layer = NonparametricLinear(400, 300)
    initialise(layer, 0)
    both = layer.weight.detach().flatten(1) * 20
    # Cutting a normal at two standard deviations leaves 0.880 of its standard deviation.
    assert abs(float(both.std()) - 0.880) < 0.005 and float(both.abs().max()) <= 2
    assert abs(float(torch.corrcoef(both)[0, 1])) < 0.012  # standard error 0.0029


@pytest.mark.parametrize("p", [-0.1, 1.0, math.nan])
def test_refuses_a_probability_outside(p: float) -> None:
    with pytest.raises(ValueError, match=rf"p is {p}; expected at least 0 and below 1"):
        DropoutLinear(3, 2, p)


def test_refuses_lengths_below_one() -> None:
    with pytest.raises(ValueError, match=r"shape of the weights is \(0, 3\); expected positive"):
        DropoutLinear(3, 0, 0.1)
