"""Networks from a seed alone: which layers are random, shapes, equal starts of the families."""

from __future__ import annotations

from typing import cast, get_args

import pytest
import torch
from torch import nn

from geocore.models.stochastic.families import Activation, Family
from geocore.models.stochastic.layer import StochasticLayer
from geocore.models.stochastic.linear import NonparametricLinear
from geocore.models.stochastic.networks import stochastic_cnn, stochastic_mlp
from geocore.models.stochastic.resnet import stochastic_resnet

F64 = torch.float64
FAMILIES: tuple[Family, ...] = get_args(Family)


def _random(model: nn.Module) -> list[bool]:
    kinds = (nn.Linear, nn.Conv2d, StochasticLayer)
    layers = [one for one in model.modules() if isinstance(one, kinds)]
    return [isinstance(one, StochasticLayer) for one in layers]


def test_inputs_are_never_dropped_and_all_layers_choose() -> None:
    for family in ("dropout", "dropconnect"):
        assert _random(stochastic_mlp((2, 10, 10, 2), family)) == [False, True, True]
        assert _random(stochastic_cnn(1, 8, 10, family, hidden=16)) == [False, True, True, True]
    assert _random(stochastic_mlp((2, 10, 10, 2), "nonparametric")) == [True] * 3
    assert _random(stochastic_cnn(1, 8, 10, "nonparametric")) == [True] * 3
    assert not any(_random(stochastic_cnn(1, 8, 10, "none")))


def test_the_plain_perceptron_is_what_it_says() -> None:
    model = stochastic_mlp((3, 4, 2), "none", activation="tanh", dtype=torch.float64)
    w1, b1, w2, b2 = model.parameters()
    x = torch.randn(5, 3, dtype=torch.float64)
    expected = torch.tanh(x @ w1.T + b1) @ w2.T + b2
    torch.testing.assert_close(model(x), expected, atol=1e-14, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_seed_decides_weights_of_both_dtypes(family: Family) -> None:
    torch.manual_seed(1)
    first = stochastic_mlp((4, 6, 3), family, seed=5, dtype=torch.float64).state_dict()
    torch.manual_seed(2)
    second = stochastic_mlp((4, 6, 3), family, seed=5).state_dict()
    third = stochastic_mlp((4, 6, 3), family, seed=6).state_dict()
    assert all(torch.equal(first[name].float(), second[name]) for name in first)
    assert not torch.equal(second["0.weight"], third["0.weight"])
    assert not torch.equal(second["2.weight"], third["2.weight"])


@pytest.mark.parametrize("family", ["dropout", "dropconnect"])
@pytest.mark.parametrize("kind", ["mlp", "cnn", "resnet"])
def test_families_start_alike_and_are_the_plain_network_without_dropping(
    kind: str, family: Family
) -> None:
    def build(family: Family) -> nn.Module:
        if kind == "mlp":
            return stochastic_mlp((6, 5, 4), family, 0.0, seed=3, dtype=F64)
        if kind == "cnn":
            widths, hidden = (3, 5), 7
            return stochastic_cnn(
                2, 9, 4, family, 0.0, widths=widths, hidden=hidden, seed=3, dtype=F64
            )
        return stochastic_resnet(2, 4, family, 0.0, widths=(3, 4, 5), seed=3, dtype=F64)

    plain, other = build("none"), build(family)
    x = torch.randn(3, 6, dtype=F64) if kind == "mlp" else torch.randn(3, 2, 9, 9, dtype=F64)
    state = plain.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in other.state_dict().items())
    torch.testing.assert_close(other(x), plain(x), atol=1e-12, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("edge", [4, 8, 11, 32])
def test_images_of_many_sizes(family: Family, edge: int) -> None:
    model = stochastic_cnn(3, edge, 10, family, widths=(4, 6), activation="silu")
    out = model(torch.randn(2, 3, edge, edge))
    assert out.shape == (2, 10) and torch.isfinite(out).all()


def test_the_two_weight_sets_start_different() -> None:
    model = stochastic_mlp((4, 6, 3), "nonparametric")
    for layer in model:
        if isinstance(layer, NonparametricLinear):
            assert not torch.isclose(layer.weight[0], layer.weight[1]).any()


def test_refuses() -> None:
    with pytest.raises(
        ValueError, match=r"widths is \(2, 2\); expected at least 3 positive integers"
    ):
        stochastic_mlp((2, 2), "dropout")
    with pytest.raises(ValueError, match=r"widths is \(2, 0, 2\); expected at least 2 positive"):
        stochastic_mlp((2, 0, 2), "none")
    with pytest.raises(ValueError, match="family is 'gauss'; expected one of none, dropout, drop"):
        stochastic_mlp((2, 3, 2), cast(Family, "gauss"))
    with pytest.raises(ValueError, match="activation is 'sine'; expected one of relu, tanh, silu"):
        stochastic_mlp((2, 3, 2), "none", activation=cast(Activation, "sine"))
    with pytest.raises(ValueError, match=r"p is 1\.0; expected at least 0 and below 1"):
        stochastic_mlp((2, 3, 2), "dropout", 1.0)
    with pytest.raises(ValueError, match="edge is 3; expected at least 4"):
        stochastic_cnn(1, 3, 10, "none")
    with pytest.raises(ValueError, match=r"channels, widths, classes are 1, \(4,\), 10; expected"):
        stochastic_cnn(1, 8, 10, "none", widths=(4,))
    with pytest.raises(ValueError, match="hidden is 0; expected a positive integer or None"):
        stochastic_cnn(1, 8, 10, "none", hidden=0)
