"""The block is its reference in both versions, with dropout and stochastic depth in training."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from geocore.models.dropout import DropPath
from geocore.models.swin_block import SwinBlock
from geocore.models.swin_reference import ReferenceBlock
from geocore.models.tiling import Windows
from geocore.testing import assert_parity
from tests.models.swins import drawn, plan, swin_params


def block(drop_path: float = 0.0, **changes: Any) -> SwinBlock:
    torch.manual_seed(0)
    made = SwinBlock(8, 2, Windows(32, 4, plan()), swin_params(**changes), drop_path)
    return drawn(made).eval()


def tokens(batch: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, 32, 8, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("attention", ["dot", "cosine"])
def test_the_block_is_its_reference(norm: str, attention: str) -> None:
    made = block(norm=norm, attention=attention)
    assert_parity(made, ReferenceBlock(made).double(), tokens(), atol=1e-11)
    x = tokens()
    mine, theirs = (
        torch.autograd.grad(net(x).square().sum(), list(made.parameters()))
        for net in (made, ReferenceBlock(made).double())
    )
    for found, expected in zip(mine, theirs, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-10)


def test_where_the_norms_stand() -> None:
    x = tokens()
    pre, post = block(norm="pre"), block(norm="post")
    with torch.no_grad():
        for made in (pre, post):
            made.mlp.contract.weight.zero_()
            made.mlp.contract.bias.zero_()
            made.mlp_norm.bias.zero_()
    torch.testing.assert_close(pre(x), x + pre.attend(pre.attention_norm(x)))
    torch.testing.assert_close(post(x), x + post.attention_norm(post.attend(x)))


@pytest.mark.parametrize("kind", ["element", "channel"])
def test_dropout_acts_in_training_alone_and_keeps_the_mean(kind: str) -> None:
    x = tokens(batch=1)
    changes: dict[str, Any] = {
        "dropout": 0.1,
        "attention_dropout": 0.1,
        "dropout_kind": kind,
        "norm": "pre",
    }
    made = block(0.0, **changes)
    torch.testing.assert_close(made(x), block(norm="pre")(x), atol=0, rtol=0)
    made.train()
    torch.manual_seed(0)
    with torch.no_grad():
        # The attention branch alone: it is linear in what is dropped.
        drawn_many = made.dropout(made.attend(x.expand(4000, -1, -1)))
        made.eval()
        expected = made.attend(x)
        spread = float(drawn_many.std(dim=0).max())
    assert spread > 1e-3
    torch.testing.assert_close(
        drawn_many.mean(dim=0, keepdim=True), expected, atol=5 * spread / 4000**0.5, rtol=0
    )


def test_stochastic_depth_drops_each_branch_by_itself() -> None:
    made = block(drop_path=0.5, norm="pre").train()
    assert isinstance(made.drop_path, DropPath)
    x = tokens(batch=1)
    torch.manual_seed(0)
    with torch.no_grad():
        out = made(x.expand(64, -1, -1))
    # Neither branch, either, or both: four different results.
    assert len(out.unique(dim=0)) == 4
    assert (out == x).flatten(1).all(dim=1).any()
