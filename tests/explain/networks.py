"""Small networks that several tests look at, in float64."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Residual", "chain", "inputs", "members"]


def chain(seed: int = 0, inputs: int = 5) -> nn.Sequential:
    """Three hidden layers, nested, with biases and activations of all kinds."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(inputs, 7), nn.Tanh(),
        nn.Sequential(nn.Linear(7, 6), nn.GELU()),
        nn.Linear(6, 9, bias=False), nn.Sigmoid(),
        nn.Linear(9, 3), nn.Softplus(),
    ).double()  # fmt: skip


def inputs(count: int = 11, size: int = 5, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, size, generator=generator, dtype=torch.float64)


def members(count: int = 3, inputs: int = 5) -> dict[str, Tensor]:
    """Stacked parameters of several chains."""
    states = [chain(seed, inputs).state_dict() for seed in range(count)]
    return {name: torch.stack([state[name] for state in states]) for name in states[0]}


class Residual(nn.Module):
    """No chain; its last hidden layer is called ``last``, and what follows fails."""

    def __init__(self, fails: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fails = fails
        self.first, self.last = nn.Linear(5, 5).double(), nn.Linear(5, 4).double()
        self.unused = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.first(x).tanh()
        out: Tensor = self.last(x)
        assert not self.fails, "what follows the hidden layer is computed"
        return out
