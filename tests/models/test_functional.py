"""A module with other parameters is the module that has them, also where layers are shared."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from geocore.models.functional import Functional


class Shared(nn.Module):
    """A layer at two places, and a matrix in two layers."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first, self.other = nn.Linear(3, 3), nn.Linear(3, 3)
        self.again = self.first
        self.other.weight = self.first.weight
        self.register_buffer("scale", torch.tensor(float(seed)))
        self.scale: Tensor

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.scale * self.other(self.again(self.first(x).sin()).sin())
        return out


@pytest.mark.parametrize("name", ["first.weight", "again.weight", "other.weight"])
def test_other_parameters(name: str) -> None:
    one, two, x = Shared(1), Shared(2), torch.randn(4, 3)
    theta = {n: p.detach() for n, p in two.named_parameters()} | {"scale": two.scale}
    theta[name] = theta.pop("first.weight")
    before = copy.deepcopy(one.state_dict())
    f = Functional(one)
    torch.testing.assert_close(f(theta, x), two(x))
    assert not torch.allclose(one(x), two(x))  # and the network is left as it was
    assert all(torch.equal(value, before[key]) for key, value in one.state_dict().items())
    assert f.aliases(name) == ["first.weight", "other.weight", "again.weight"]
    assert set(f.trainable()) == {"first.weight", "first.bias", "other.bias"}


def test_some_parameters() -> None:
    one, x = Shared(1), torch.randn(4, 3)
    torch.testing.assert_close(Functional(one)({"scale": torch.tensor(3.0)}, x), 3 * one(x))
