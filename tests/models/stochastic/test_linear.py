"""A pass is that of the weights really used; many members at once are each of them alone."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call, stack_module_state, vmap

from geocore.models.stochastic import linear as linear_module
from geocore.models.stochastic.linear import DropConnectLinear, DropoutLinear, NonparametricLinear
from geocore.testing import assert_parity
from tests.models.stochastic.families import F64, LINEAR, by_realised_weights, filled, noise


@pytest.mark.parametrize("name", LINEAR)
def test_a_pass_is_the_linear_map_of_each_samples_weights(name: str) -> None:
    layer, x = filled(LINEAR[name]), torch.randn(7, 3, dtype=F64)
    u = noise(layer, 7)
    assert_parity(
        lambda x: layer.sample(x, u), lambda x: by_realised_weights(layer, x, u), x, atol=1e-12
    )


@pytest.mark.parametrize("name", LINEAR)
def test_gradients(name: str) -> None:
    layer = filled(LINEAR[name])
    u, x = noise(layer, 4), torch.randn(4, 3, dtype=F64, requires_grad=True)
    names = [key for key, _ in layer.named_parameters()]

    def passed(x: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        layer.noise = u
        out: torch.Tensor = functional_call(layer, dict(zip(names, values, strict=True)), (x,))
        return out

    assert torch.autograd.gradcheck(passed, (x, *layer.parameters()), atol=1e-7)


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("block", [1 << 19, 20])
@pytest.mark.parametrize("name", LINEAR)
def test_stacked_members_are_each_alone(
    name: str, block: int, members: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear_module, "_BLOCK", block)  # 20: a few samples at a time
    make = LINEAR[name]
    layers = [filled(make, seed) for seed in range(members)]
    x, u = torch.randn(members, 3, 8, dtype=F64), noise(layers[0], members, 8)
    stacked = {
        key: torch.stack([layer.get_parameter(key).detach() for layer in layers]).requires_grad_()
        for key, _ in layers[0].named_parameters()
    }
    out = make().stacked(stacked, x, u)
    assert out.shape == (members, layers[0].theta_shape[0], 8)
    weights = torch.randn(out.shape, dtype=F64)
    (out * weights).sum().backward()
    for m, layer in enumerate(layers):
        alone = layer.sample(x[m].T, u[m])
        torch.testing.assert_close(out[m], alone.T, atol=1e-12, rtol=0)
        (alone.T * weights[m]).sum().backward()
        for key, parameter in layer.named_parameters():
            grad = stacked[key].grad
            assert grad is not None
            torch.testing.assert_close(grad[m], parameter.grad, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", LINEAR)
def test_vmap_over_members_is_each_alone(name: str) -> None:
    layers = [filled(LINEAR[name], seed) for seed in range(3)]
    parameters, _ = stack_module_state(layers)
    layer, x, u = copy.deepcopy(layers[0]), torch.randn(8, 3, dtype=F64), noise(layers[0], 3, 8)

    def passed(values: dict[str, torch.Tensor], u: torch.Tensor) -> torch.Tensor:
        layer.noise = u
        out: torch.Tensor = functional_call(layer, values, (x,))
        return out

    found = vmap(passed)(parameters, u)
    expected = torch.stack([one.sample(x, u[m]) for m, one in enumerate(layers)])
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("rescale", [True, False])
@pytest.mark.parametrize("kind", [DropoutLinear, DropConnectLinear])
def test_without_dropping_it_is_the_plain_map(
    kind: type[DropoutLinear | DropConnectLinear], rescale: bool
) -> None:
    layer = kind(30, 20, 0.0, rescale, dtype=F64)
    x = torch.randn(9, 30, dtype=F64)
    u = noise(layer, 9)
    u[0] = 0  # the least that is drawn
    expected = F.linear(x, layer.weight, layer.bias)
    torch.testing.assert_close(layer.sample(x, u), expected, atol=1e-14, rtol=0)


def test_equal_weight_sets_are_the_plain_map() -> None:
    layer = NonparametricLinear(30, 20, dtype=F64)
    with torch.no_grad():
        layer.weight[1], layer.bias = layer.weight[0], None
    x = torch.randn(9, 30, dtype=F64)
    expected = F.linear(x, layer.weight[0])
    torch.testing.assert_close(layer.sample(x, noise(layer, 9)), expected, atol=1e-14, rtol=0)


def test_the_boundary_of_the_noise() -> None:
    """Kept from ``p`` on, the second set from 1/2 on."""
    u, x = torch.tensor([[0.25, 0.2499]]), torch.tensor([[1.0, 10.0]])
    dropout, connect = DropoutLinear(2, 1, 0.25, False), DropConnectLinear(2, 1, 0.25, False)
    for layer, given in ((dropout, u), (connect, u[:, None])):
        torch.nn.init.ones_(layer.weight)
        assert layer.sample(x, given).item() == 1.0
        state = {key: value.detach()[None] for key, value in layer.named_parameters()}
        assert layer.stacked(state, x.T[None], given[None]).item() == 1.0
    choosing = NonparametricLinear(1, 2)
    with torch.no_grad():
        choosing.weight[0], choosing.weight[1] = 1.0, 2.0
    found = choosing.sample(torch.ones(1, 1), torch.tensor([[0.5, 0.4999]]))
    assert found.tolist() == [[2.0, 1.0]]


@pytest.mark.parametrize("name", LINEAR)
def test_refuses_other_shapes(name: str) -> None:
    layer, x = LINEAR[name](), torch.zeros(4, 3, dtype=F64)
    u = noise(layer, 4)
    with pytest.raises(ValueError, match=r"x has shape \(4, 5\); expected \(batch, 3\)"):
        layer.sample(torch.zeros(4, 5), u)
    with pytest.raises(ValueError, match=r"u has shape .*; expected \(4, "):
        layer.sample(x, u[:1])  # one mask for all would be broadcast
    state = {key: value.detach()[None] for key, value in layer.named_parameters()}
    with pytest.raises(ValueError, match=r"x has shape \(1, 4, 3\); expected \(members, 3, batch"):
        layer.stacked(state, x[None], u[None])
    with pytest.raises(ValueError, match=r"u has shape .*; expected \(1, 4, "):
        layer.stacked(state, x.T[None], u)
    with pytest.raises(ValueError, match=r"parameters\['weight'\] is missing; expected shape \(1"):
        layer.stacked({}, x.T[None], u[None])
    short = state | {"weight": state["weight"][:, :, :1]}
    with pytest.raises(ValueError, match=r"parameters\['weight'\] is \(.*\); expected shape \(1"):
        layer.stacked(short, x.T[None], u[None])
