"""Dropout of a share is the share of the batch's dropout, bit by bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocore.errors import UserError
from geocore.models.dropout import ElementDropout, keep_mask
from geocore.models.heal_swin import HealSwin
from geocore.train.processes import Group
from geocore.train.together import _Share
from tests.models.swins import swin_params
from tests.train.scenes import CPU, TABLE
from tests.train.together import Mixed

DROPS: dict[str, dict[str, Any]] = {
    "numbers": {"dropout": 0.2},
    "attention": {"attention_dropout": 0.3},
    "paths": {"drop_path": 0.4},
    "all": {"dropout": 0.2, "attention_dropout": 0.3, "drop_path": 0.4},
    "channels": {"dropout": 0.2, "attention_dropout": 0.3, "dropout_kind": "channel"},
}


def by_shares(model: nn.Module, images: Tensor, cuts: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Outputs and gradients, summed, of shares that begin at ``cuts``; each from the same seed."""
    share = _Share(Group(0, 1, CPU), model)
    share._sum_gradients = lambda: None  # type: ignore[method-assign]
    model.zero_grad()
    outputs, ends = [], []
    with share.noise.learned(images[:1]), share:
        for start, stop in zip(cuts, (*cuts[1:], len(images)), strict=True):
            share.noise.start, share.noise.stop, share.noise.whole = start, stop, len(images)
            torch.manual_seed(5)
            out = model(images[start:stop])
            out.square().sum().backward()
            outputs.append(out.detach())
            ends.append(torch.get_rng_state())
    assert all(torch.equal(end, ends[0]) for end in ends)
    return torch.cat(outputs), gradient(model)


def in_one(model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    model.zero_grad()
    torch.manual_seed(5)
    out = model(images)
    out.square().sum().backward()
    return out.detach(), gradient(model)


def gradient(model: nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("drops", DROPS)
def test_heal_swin(drops: str, checkpointing: bool) -> None:
    """Also where a block is computed again on the way back."""
    params = swin_params(
        depths=(2, 1), window=4, heads=(2, 2), checkpointing=checkpointing, **DROPS[drops]
    )
    model = HealSwin(TABLE, 3, params, seed=0).double().train()
    images = torch.rand(7, *TABLE.shape, dtype=torch.float64)
    whole, slope = in_one(model, images)
    found, summed = by_shares(model, images, (0, 2, 3))
    assert (found - whole).abs().max() <= 1e-12 * whole.abs().max()
    assert (summed - slope).abs().max() <= 1e-12 * slope.abs().max()
    assert (in_one(model.eval(), images)[0] - whole).abs().max() > 1e-3  # there was noise


def test_plain_dropout_as_on_other_devices() -> None:
    """``F.dropout`` of activations whose first axis counts samples, or windows of samples."""

    class Windows(Mixed):
        def forward(self, x: Tensor) -> Tensor:
            parts = F.dropout(x.reshape(len(x) * 4, 16), 0.3, self.training)
            return super().forward(parts.reshape(len(x), 64))

    model = Windows(torch.float64).train()
    images = torch.rand(5, 64, dtype=torch.float64)
    whole, slope = in_one(model, images)
    found, summed = by_shares(model, images, (0, 4))
    assert torch.equal(found != 0, whole != 0)
    assert (found - whole).abs().max() <= 1e-14
    assert (summed - slope).abs().max() <= 1e-12


def test_what_draws_otherwise_is_refused() -> None:
    class Noisy(Mixed):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x + torch.rand_like(x))

    model = Noisy(torch.float32).train()
    with pytest.raises(RuntimeError, match="rand_like would draw the same for each process"):
        by_shares(model, torch.rand(4, 64), (0, 2))


class Odd(nn.Module):
    """Four numbers come from one draw: three a sample would have to be cut in the middle."""

    def forward(self, x: Tensor) -> Tensor:
        return x * keep_mask((len(x), 3), 0.5, x)


class Around(nn.Module):
    """Its own numbers are drawn before and after those of a layer inside of it."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = ElementDropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.inside(x * keep_mask((len(x), 4), 0.5, x))
        out: Tensor = inner * keep_mask((len(x), 4), 0.5, x)
        return out


@pytest.mark.parametrize(("layer", "width"), [(Odd(), 3), (Around(), 4)])
def test_what_is_not_drawn_sample_by_sample_is_refused(layer: nn.Module, width: int) -> None:
    model = nn.Sequential(nn.Linear(2, width), layer).train()
    with pytest.raises(UserError, match=r"dropout of 1 does not draw sample by sample"):
        by_shares(model, torch.rand(4, 2), (0, 2))


class Attentive(nn.Module):
    """The probability of dropout is told by its place, or by its name."""

    def __init__(self, by_name: bool) -> None:
        super().__init__()
        self.by_name = by_name

    def forward(self, x: Tensor) -> Tensor:
        q = x.reshape(len(x), 1, 16, 4)
        if self.by_name:
            return F.scaled_dot_product_attention(query=q, key=q, value=q, dropout_p=0.5)
        return F.scaled_dot_product_attention(q, q, q, None, 0.5)


def test_attention_draws_for_its_share_however_it_is_asked() -> None:
    """Two shares of one sample each draw otherwise, and torch's state moves as much in both."""

    def drawn(by_name: bool) -> Tensor:
        same = nn.Linear(64, 64, bias=False)
        nn.init.eye_(same.weight)
        model = nn.Sequential(same, Attentive(by_name)).train()
        return by_shares(model, torch.ones(2, 64), (0, 1))[0]

    by_place, by_name = drawn(False), drawn(True)
    assert torch.equal(by_place, by_name)
    assert not torch.equal(by_place[0], by_place[1])
