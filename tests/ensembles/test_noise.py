"""A member's numbers follow from its seed, their use and the step."""

from __future__ import annotations

import torch
from torch import nn

from geocore.ensembles.noise import Noise, noise_count, put_noise, shares, stochastic_layers
from geocore.models.stochastic.linear import DropConnectLinear, DropoutLinear


def test_company_order_and_earlier_steps_do_not_matter() -> None:
    several, alone = Noise([7, 8, 9], "training", 5, 3), Noise([9], "training", 5, 3)
    walked = [several(2, step, 5) for step in range(4)]
    assert torch.equal(alone(0, 3, 5), walked[3])
    assert torch.equal(several.stacked(range(1, 3), 3, 5)[1], walked[3])
    assert torch.equal(several(2, 3, 2), walked[3][:2]), "a smaller batch has the first of them"


def test_members_steps_and_uses_differ() -> None:
    noise = Noise([7, 8], "training", 5, 3)
    others = [noise(1, 0, 5), noise(0, 1, 5), Noise([7], "prediction", 5, 3)(0, 0, 5)]
    for other in others:
        assert not (noise(0, 0, 5) == other).any()


def test_blocks_of_steps_are_one_stream() -> None:
    # 2^18 numbers a block: steps lie in one, or each in one of its own.
    for batch, count in ((2**10, 2**6), (2**10, 2**9)):
        noise = Noise([3], "training", batch, count)
        first, last = noise(0, 0, batch).clone(), noise(0, 5, batch).clone()
        assert torch.equal(noise(0, 0, batch), first)  # back to a block that is held no more
        assert not (first == last).any()
        assert abs(float(first.mean()) - 0.5) < 0.01
        assert float(first.min()) >= 0 and float(first.max()) < 1


def test_each_layer_has_its_share() -> None:
    model = nn.Sequential(DropoutLinear(4, 3, 0.1), nn.ReLU(), DropConnectLinear(3, 2, 0.1))
    layers = stochastic_layers(model)
    assert noise_count(layers) == 4 + 6
    noise = torch.arange(20.0).view(2, 10)
    first, second = shares(layers, noise)
    assert first.tolist() == noise[:, :4].tolist()
    assert second.shape == (2, 2, 3) and second[1].flatten().tolist() == noise[1, 4:].tolist()
    put_noise(layers, noise)
    assert layers[0].noise is not None and torch.equal(layers[0].noise, first)
    put_noise(layers, None)
    assert [layer.noise for layer in stochastic_layers(model)] == [None, None]
