"""AdamW's first step by hand, and what does not decay."""

from __future__ import annotations

import torch
from torch import nn

from geocore.train.optimiser import make_optimiser
from tests.train.scenes import network


def test_the_first_step() -> None:
    # Moments corrected for their bias make the first step lr * sign(gradient), after the decay.
    model = nn.Linear(2, 1)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, -2.0]]))
        model.bias.fill_(3.0)
    optimiser = make_optimiser(model, lr=0.1, weight_decay=0.5)
    model.weight.grad = torch.tensor([[0.3, -40.0]])
    model.bias.grad = torch.tensor([2.0])
    optimiser.step()
    expected = torch.tensor([[1.0 * 0.95 - 0.1, -2.0 * 0.95 + 0.1]])
    torch.testing.assert_close(model.weight.detach(), expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(model.bias.detach(), torch.tensor([2.9]), atol=1e-6, rtol=0)


def test_only_matrices_of_linear_maps_decay() -> None:
    model = network()
    optimiser = make_optimiser(model, lr=0.1, weight_decay=0.5)
    decaying = {id(p) for p in optimiser.param_groups[0]["params"]}
    named = dict(model.named_parameters())
    names = {name for name, parameter in named.items() if id(parameter) in decaying}
    assert optimiser.param_groups[0]["weight_decay"] == 0.5
    assert optimiser.param_groups[1]["weight_decay"] == 0.0
    assert {"embed.project.weight", "stages.0.0.mix.qkv.weight", "head.weight"} <= names
    assert all(name.endswith("weight") and "norm" not in name for name in names)
    assert {"position", "stages.0.0.mix.bias_table"} <= named.keys() - names
    assert sum(len(group["params"]) for group in optimiser.param_groups) == len(named)
