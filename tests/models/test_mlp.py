"""The perceptron in chunks is the plain one, with its gradients and its dropout."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocore.models import mlp
from geocore.models.blocks import ChannelDropout
from geocore.models.dropout import ElementDropout
from geocore.models.mlp import Mlp
from geocore.testing import assert_parity


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlp, "_CHUNK", 64)
    monkeypatch.setattr(mlp, "_FEWEST", 1)


def called(layer: Mlp) -> Callable[..., Tensor]:
    names = ("expand.weight", "expand.bias", "contract.weight", "contract.bias")

    def call(x: Tensor, *weights: Tensor) -> Tensor:
        out: Tensor = torch.func.functional_call(
            layer, dict(zip(names, weights, strict=True)), (x,)
        )
        return out

    return call


def plain(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    return F.linear(F.gelu(F.linear(x, w1, b1)), w2, b2)


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-13), (torch.float32, 2e-5)])
def test_chunks_are_the_whole(dtype: torch.dtype, atol: float) -> None:
    torch.manual_seed(0)
    layer = Mlp(6, 24, ElementDropout(0.5)).to(dtype).eval()
    x = torch.randn(3, 5, 6, dtype=dtype)  # 15 tokens in chunks of 2: the last is smaller
    weights = tuple(layer.parameters())
    assert_parity(called(layer), plain, x, *weights, atol=atol, reference_dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), plain(x, *weights), atol=atol, rtol=0)


def test_the_gradient_goes_through_the_mask_that_was_drawn() -> None:
    torch.manual_seed(0)
    layer = Mlp(3, 5, ElementDropout(0.4)).double()
    call = called(layer)

    def seeded(*inputs: Tensor) -> Tensor:
        torch.manual_seed(4)
        return call(*inputs)

    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    weights = tuple(p.detach().clone().requires_grad_() for p in layer.parameters())
    assert torch.autograd.gradcheck(seeded, (x, *weights))


def test_hidden_numbers_are_dropped_and_the_rest_scaled() -> None:
    torch.manual_seed(0)
    layer = Mlp(1, 64, ElementDropout(0.25)).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.expand.bias.fill_(1.0)
        layer.contract.weight.fill_(1.0)
    hidden = float(F.gelu(torch.ones(1, dtype=torch.float64)))
    kept = layer(torch.zeros(2000, 1, dtype=torch.float64)).detach() / hidden * 0.75
    torch.testing.assert_close(kept, kept.round(), atol=1e-9, rtol=0)  # whole numbers of them
    assert abs(float(kept.mean()) - 48) < 0.3  # standard error 0.077
    assert float(kept.std()) == pytest.approx(12**0.5, rel=0.1)


@pytest.mark.parametrize("dropout", [ChannelDropout(0.5), nn.Dropout(0.9), nn.Identity()])
def test_other_dropouts(dropout: nn.Module) -> None:
    torch.manual_seed(0)
    layer = Mlp(6, 24, dropout).double()
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    torch.manual_seed(1)
    found = layer(x)
    torch.manual_seed(1)
    expected = layer.contract(dropout(F.gelu(layer.expand(x))))
    torch.testing.assert_close(found, expected, atol=1e-13, rtol=0)


def test_an_empty_batch_goes_through() -> None:
    layer = Mlp(6, 24, ElementDropout(0.5))
    assert layer(torch.zeros(0, 5, 6)).shape == (0, 5, 6)
