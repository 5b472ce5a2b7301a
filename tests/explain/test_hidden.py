"""A hidden map is the network up to its last hidden layer, and nothing after it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from geocore.explain.hidden import HiddenMap
from tests.explain.networks import Residual, chain, inputs, members


def test_a_chain_without_its_read_out() -> None:
    network, x = chain(), inputs()
    hidden = HiddenMap(network)
    assert hidden.depth == 3
    torch.testing.assert_close(hidden(x), network[:-2](x), rtol=0, atol=0)


def test_a_named_layer_and_nothing_after_it() -> None:
    network, x = Residual(), inputs()
    hidden = HiddenMap(network, layer="last", depth=2)
    expected = network.last(x + network.first(x).tanh())
    torch.testing.assert_close(hidden(x), expected, rtol=0, atol=0)
    assert not network.last._forward_hooks


def test_convolutions_count_and_are_flattened() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)
    )
    hidden = HiddenMap(network)
    assert hidden.depth == 2
    assert hidden(torch.zeros(4, 1, 6, 6)).shape == (4, 12)


def test_an_activation_may_stand_at_two_places() -> None:
    tanh = nn.Tanh()
    network = nn.Sequential(nn.Linear(5, 4), tanh, nn.Linear(4, 4), tanh, nn.Linear(4, 1)).double()
    x = inputs()
    torch.testing.assert_close(HiddenMap(network)(x), network[:4](x), rtol=0, atol=0)


def test_parameters_of_another_member() -> None:
    given = {name: value[2] for name, value in members().items()}
    x = inputs()
    found, expected = HiddenMap(chain())(x, given), HiddenMap(chain(2))(x)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-15)


def test_a_shared_layer_of_another_member() -> None:
    def build(seed: int) -> nn.Sequential:
        torch.manual_seed(seed)
        shared = nn.Linear(5, 5)
        return nn.Sequential(shared, nn.Tanh(), shared, nn.Tanh(), nn.Linear(5, 1)).double()

    x, other = inputs(), build(2)
    hidden = HiddenMap(build(1))
    stacked = {name: p.detach()[None] for name, p in other.named_parameters()}
    given = {name: value[0] for name, value in hidden.placed(stacked).items()}
    torch.testing.assert_close(hidden(x, given), other[:4](x), rtol=0, atol=1e-15)


def test_bad_networks() -> None:
    with pytest.raises(ValueError, match="network has 1 linear layers; expected a hidden one"):
        HiddenMap(nn.Sequential(nn.Linear(2, 1)))
    with pytest.raises(ValueError, match=r"network is Residual; expected nn\.Sequential"):
        HiddenMap(Residual())
    with pytest.raises(ValueError, match="layer is 'other'; expected the name of a part"):
        HiddenMap(Residual(), layer="other", depth=1)
    with pytest.raises(ValueError, match="depth is None; expected at least 1"):
        HiddenMap(Residual(), layer="last")
    with pytest.raises(ValueError, match="layer 1 is BatchNorm1d in training"):
        HiddenMap(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 1)))


def test_a_layer_that_is_not_used() -> None:
    network = Residual(fails=False)
    with pytest.raises(ValueError, match="layer is 'unused', which the network does not use"):
        HiddenMap(network, layer="unused", depth=1)(inputs())
    assert not network.unused._forward_hooks


def test_bad_parameters() -> None:
    hidden = HiddenMap(chain())
    good = members()
    with pytest.raises(ValueError, match="parameters has 'odd'; expected names of the network's"):
        hidden.placed({"odd": torch.zeros(3)})
    with pytest.raises(ValueError, match=r"1.bias has shape \(3, 8\); expected \(members, 7\)"):
        hidden.placed({"1.bias": torch.zeros(3, 8)})
    with pytest.raises(ValueError, match=r"parameters are of \[2, 3\] members; expected one"):
        hidden.placed({**good, "1.bias": good["1.bias"][:2]})
