"""Many networks in two tensors: views, constants held once, and what is refused."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from geocore.ensembles.programs import Batched, OneByOne, program
from geocore.ensembles.stack import Stack, check_member

CPU = torch.device("cpu")


class Tabled(nn.Module):
    """Has a table that all members share, one of each, a frozen weight and a tied one."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Linear(3, 3, bias=False)
        self.again = nn.Linear(3, 3, bias=False)
        self.again.weight = self.first.weight
        self.frozen = nn.Parameter(torch.ones(3), requires_grad=False)
        self.common: torch.Tensor
        self.own: torch.Tensor
        self.register_buffer("common", torch.arange(3.0))
        self.register_buffer("own", torch.tensor(float(seed)), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.again(self.first(x) + self.common) * self.frozen + self.own
        return out


def convolution(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Conv2d(3, 1, 1))


@pytest.mark.parametrize("build", [Tabled, convolution])
def test_a_row_is_the_member(build: type[nn.Module]) -> None:
    stack = Stack(build, (4, 5, 6), CPU)
    x = torch.randn(2, 3) if build is Tabled else torch.randn(2, 2, 5, 5)
    for member, seed in enumerate((4, 5, 6)):
        expected = build(seed)
        torch.testing.assert_close(stack.module(member)(x), expected(x))
        state = stack.state_dict(member)
        assert list(state) == list(expected.state_dict())
        for name, value in expected.state_dict().items():
            assert torch.equal(state[name], value), name
            assert state[name].is_contiguous()


def test_a_module_trains_its_row() -> None:
    stack = Stack(Tabled, (4, 5), CPU)
    module = stack.module(1)
    assert isinstance(module, Tabled)
    module(torch.ones(1, 3)).sum().backward()
    grads = stack.weights[0].grad
    assert grads is not None
    assert not grads[0].any() and grads[1].any()
    stack.weights[0][1] = 0.0
    assert not module.first.weight.any() and not module.again.weight.any()
    stack.zero_grad()
    assert not grads.any()


def test_constants_are_held_once() -> None:
    stack = Stack(Tabled, (4, 5), CPU)
    first, second = stack.module(0), stack.module(1)
    assert isinstance(first, Tabled) and isinstance(second, Tabled)
    assert first.common.data_ptr() == second.common.data_ptr()
    assert first.frozen.data_ptr() == second.frozen.data_ptr()
    assert (float(first.own), float(second.own)) == (4.0, 5.0)
    assert stack.parameters == 9


def test_convolutions_have_their_channels_last() -> None:
    weight = Stack(convolution, (0,), CPU).module(0).get_parameter("0.weight")
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not weight.is_contiguous()


def test_the_strategy_follows_the_layers() -> None:
    chain = Stack(lambda seed: nn.Sequential(nn.Linear(2, 2), nn.ReLU()), (0,), CPU)
    assert isinstance(program(chain), Batched)
    assert isinstance(program(chain, "one_by_one"), OneByOne)
    assert isinstance(program(Stack(convolution, (0,), CPU)), OneByOne)
    flat = (nn.Flatten(), nn.Linear(4, 2))
    small = Stack(lambda seed: nn.Sequential(convolution(seed), *flat), (0,), CPU)
    assert isinstance(program(small), Batched)
    with pytest.raises(ValueError, match="strategy is batched and the network Tabled"):
        program(Stack(Tabled, (0,), CPU), "batched")


def test_one_by_one_a_network_is_what_it_was() -> None:
    def build(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        relu, pool, tanh = nn.ReLU(), nn.MaxPool2d(2), nn.Tanh()  # at two places each
        first, second = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 1, 3, padding=1)
        return nn.Sequential(first, relu, pool, tanh, nn.Sequential(second, relu, pool), tanh)

    stack, x = Stack(build, (4, 5), CPU), torch.randn(3, 1, 8, 8)
    found = program(stack, "one_by_one").outputs(range(2), x, None)
    expected = torch.stack([build(seed)(x) for seed in (4, 5)])
    torch.testing.assert_close(found, expected)
    assert list(stack.state_dict(0)) == list(build(4).state_dict())


def test_statistics_of_the_batch_are_refused_by_name() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sequential(nn.BatchNorm2d(2)))
    with pytest.raises(ValueError, match=r"layer 1\.0 is BatchNorm2d, which has statistics"):
        check_member(model)
    followed = nn.Sequential(nn.Conv1d(1, 2, 3), nn.InstanceNorm1d(2, track_running_stats=True))
    with pytest.raises(ValueError, match="layer 1 is InstanceNorm1d, which has statistics"):
        check_member(followed)
    with pytest.raises(ValueError, match="no parameters to train"):
        check_member(nn.ReLU())


def test_mixed_members_are_refused() -> None:
    def by_depth(seed: int) -> nn.Module:
        layers = [nn.Linear(2, 2) for _ in range(1 + seed)]
        return nn.Sequential(*layers)

    with pytest.raises(ValueError, match="the member of seed 1 has other layers than the first"):
        Stack(by_depth, (0, 1), CPU)
    with pytest.raises(ValueError, match=r"0\.weight of the member of seed 3 is .*\(3, 2\)"):
        Stack(lambda seed: nn.Sequential(nn.Linear(2, seed)), (2, 3), CPU)
    for layer, found in ((nn.Dropout, "p="), (nn.LeakyReLU, "negative_slope=")):
        made = partial(lambda layer, seed: nn.Sequential(nn.Linear(2, 2), layer(seed / 9)), layer)
        with pytest.raises(ValueError, match=f"layer 1 of the member of seed 2 has {found}"):
            Stack(made, (1, 2), CPU)
    for seeds in ((1, 1), (-1, 2)):
        with pytest.raises(ValueError, match=r"seeds are \[.*\]; expected different ones"):
            Stack(convolution, seeds, CPU)
    with pytest.raises(ValueError, match="seeds are none; expected one a member"):
        Stack(convolution, (), CPU)


def test_coefficients_are_spread() -> None:
    stack = Stack(lambda seed: nn.Sequential(nn.Linear(2, 1), nn.LayerNorm(1)), (0,), CPU)
    named = {"0.weight": 2.0, "0.bias": 3.0, "1.weight": 4.0, "1.bias": 5.0}
    decaying, others = stack.coefficients(named)
    assert decaying.tolist() == [2.0, 2.0] + [0.0] * 14
    assert others[::16].tolist() == [3.0, 4.0, 5.0] and int(others.sum()) == 12
    with pytest.raises(ValueError, match=r"coefficient of 0\.bias is -1\.0; expected at least 0"):
        stack.coefficients({**named, "0.bias": -1.0})
    with pytest.raises(ValueError, match=r"named differs from the members' parameters in 1\.bias"):
        stack.coefficients({k: v for k, v in named.items() if k != "1.bias"})
