"""Weights follow from the seed alone, with the variance that the docstring states."""

from __future__ import annotations

import torch
from torch import nn

from geocore.models.healpix_encoder import HealpixEncoder
from geocore.models.initial import initialise
from tests.models.encoders import kind, model_params


def test_linear_maps_keep_variance() -> None:
    model = nn.Sequential(nn.Linear(400, 300), nn.LayerNorm(300))
    initialise(model, 0)
    linear = model[0]
    assert isinstance(linear, nn.Linear)
    # Cutting a normal at two standard deviations leaves 0.880 of its standard deviation.
    assert abs(float(linear.weight.detach().std()) * 400**0.5 - 0.880) < 0.005
    assert float(linear.weight.detach().abs().max()) <= 2 / 400**0.5
    assert float(linear.bias.detach().abs().max()) == 0


def test_the_seed_decides_all_weights() -> None:
    torch.manual_seed(1)
    first = HealpixEncoder(kind(), 5, model_params(), seed=3).state_dict()
    torch.manual_seed(2)
    second = HealpixEncoder(kind(), 5, model_params(), seed=3).state_dict()
    third = HealpixEncoder(kind(), 5, model_params(), seed=4).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    drawn = {name for name in first if not torch.equal(first[name], third[name])}
    assert {"position", "embed.project.bias", "stages.0.0.mix.bias_table", "head.weight"} <= drawn
    constant = {name for name in first if "norm" in name}
    assert constant.isdisjoint(drawn)
