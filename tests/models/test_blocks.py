"""Patches join the children of a nested pixel; dropout takes whole channels."""

from __future__ import annotations

import torch
from torch import nn

from geocore.models.blocks import Block, ChannelDropout, PatchEmbedding, PatchMerging
from geocore.models.initial import initialise


def test_patch_embedding_reads_four_nested_pixels() -> None:
    layer = PatchEmbedding(2, 8).double()
    assert isinstance(layer.norm, nn.LayerNorm)
    nn.init.eye_(layer.project.weight)
    nn.init.zeros_(layer.project.bias)
    x = torch.rand(3, 16, 2, dtype=torch.float64)
    token = x[1, 8:12].reshape(8)  # the third token: pixels 8 to 11, their channels in order
    expected = (token - token.mean()) / (token.var(correction=0) + layer.norm.eps).sqrt()
    torch.testing.assert_close(layer(x)[1, 2], expected, atol=1e-12, rtol=0)


def test_patch_embedding_without_its_norm() -> None:
    layer = PatchEmbedding(2, 8, norm=False)
    assert sorted(name for name, _ in layer.named_parameters()) == [
        "project.bias",
        "project.weight",
    ]
    x = torch.rand(3, 16, 2)
    torch.testing.assert_close(layer(x), layer.project(x.reshape(3, 4, 8)), atol=0, rtol=0)


def test_an_empty_patch_is_no_singular_point() -> None:
    layer = PatchEmbedding(1, 16)
    initialise(layer, 0)
    x = torch.zeros(1, 4, 1, requires_grad=True)
    gradient = torch.autograd.grad(layer(x)[0, 0, 0], x)[0]
    assert float(gradient.abs().max()) < 10  # 1 / sqrt(eps) is 316


def test_patch_merging_joins_children() -> None:
    layer = PatchMerging(2).double()
    assert "reduce.bias" not in dict(layer.named_parameters())
    x = torch.rand(1, 8, 2, dtype=torch.float64)
    other = x.clone()
    other[:, 5] += 1
    change = (layer(other) - layer(x)).detach().abs().sum(dim=(0, 2))
    assert layer(x).shape == (1, 2, 4)
    assert float(change[0]) == 0 and float(change[1]) > 1e-6
    joined = x[0, 4:8].reshape(8)
    normed = (joined - joined.mean()) / (joined.var(correction=0) + layer.norm.eps).sqrt()
    torch.testing.assert_close(layer(x)[0, 1], layer.reduce.weight @ normed, atol=1e-12, rtol=0)


def test_channel_dropout_takes_whole_channels_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    layer = ChannelDropout(0.25)
    out = layer(torch.ones(500, 3, 40))
    assert torch.equal(out, out[:, :1].expand_as(out))
    kept = out[:, 0]
    assert set(kept.unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    # 20,000 draws: the standard error of the mean is 0.0041.
    assert abs(float(kept.mean()) - 1) < 0.02
    assert torch.equal(layer.eval()(out), out)


def test_block_is_the_identity_when_its_branches_are_silent() -> None:
    block = Block(4, nn.Linear(4, 4), 2.0, 0.5)
    nn.init.zeros_(block.mix.weight)  # type: ignore[arg-type]
    nn.init.zeros_(block.mix.bias)  # type: ignore[arg-type]
    nn.init.zeros_(block.contract.weight)
    nn.init.zeros_(block.contract.bias)
    x = torch.rand(2, 3, 4)
    assert torch.equal(block(x), x)
    nn.init.ones_(block.contract.bias)
    assert torch.equal(block.eval()(x), x + 1)
