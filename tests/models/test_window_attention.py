"""The layer is what the papers write, in both versions, with masks and without."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from geocore.models import window_attention
from geocore.models.swin_reference import dense_mask, window_attention_reference
from geocore.models.tiling import Windows, offset_pairs
from geocore.models.window_attention import WindowAttention, attend
from geocore.testing import assert_parity
from tests.models.swins import drawn, plan


def layer(window: int = 4, channels: int = 6, heads: int = 2, **changes: Any) -> WindowAttention:
    torch.manual_seed(0)
    made = WindowAttention(channels, heads, window, *offset_pairs(window, 16), **changes)
    return drawn(made).eval()


def slots(batch: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, 32, 6, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("by_hand", [False, True])
def test_the_layer_is_its_reference(
    cosine: bool, bias: bool, masked: bool, by_hand: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window_attention, "by_hand", lambda x: by_hand)
    made = layer(cosine=cosine, bias=bias)
    windows = Windows(32, 4, plan() if masked else None)
    mask = dense_mask(windows)
    assert (mask is not None) == masked
    names = [name for name, _ in made.named_parameters()]

    def call(fn: Any) -> Any:
        def with_parameters(x: Tensor, *values: Tensor) -> Tensor:
            with torch.nn.utils.stateless._reparametrize_module(
                made, dict(zip(names, values, strict=True))
            ):
                out: Tensor = fn(x)
                return out

        return with_parameters

    assert_parity(
        call(lambda x: made(x, windows.labels)),
        call(lambda x: window_attention_reference(made, x, mask)),
        slots(),
        *made.parameters(),
        atol=1e-11,
    )


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_the_fused_kernels_get_the_same_problem(
    cosine: bool, bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, windows = layer(cosine=cosine, bias=bias), Windows(32, 4, plan())
    monkeypatch.setattr(window_attention, "by_hand", lambda x: False)
    monkeypatch.setattr(window_attention, "_fuses", lambda q: True)
    mask = dense_mask(windows)
    assert_parity(
        lambda x: made(x, windows.labels),
        lambda x: window_attention_reference(made, x, mask),
        slots(),
        atol=1e-11,
    )


def test_attention_by_hand() -> None:
    # q = k = 0: the weights are the softmax of the bias alone; v = x, and so is the output map.
    made = WindowAttention(1, 1, 4, *offset_pairs(4, 4)).double()
    with torch.no_grad():
        made.qkv.weight.copy_(torch.tensor([[0.0], [0.0], [1.0]]))
        made.qkv.bias.zero_()
        made.out.weight.fill_(1.0)
        made.out.bias.zero_()
        assert made.bias_table is not None
        made.bias_table.zero_()
        made.bias_table[0, 7] = math.log(5.0)  # the neighbour at dx = 1, dy = 0
    x = torch.tensor([[[1.0], [2.0], [3.0], [4.0]]], dtype=torch.float64)
    # Tokens 0 and 2 have that neighbour (1 and 3): weights 1, 5, 1, 1 of 8, and 1, 1, 1, 5 of 8.
    expected = torch.tensor([[[18 / 8], [10 / 4], [26 / 8], [10 / 4]]], dtype=torch.float64)
    torch.testing.assert_close(made(x), expected, atol=1e-14, rtol=0)
    # Of two places, tokens 0 and 1, 2 and 3: weights 1, 5 of 6; 1, 1; 1, 5 of 6; 1, 1.
    labels = torch.tensor([[0, 0, 1, 1]], dtype=torch.uint8)
    expected = torch.tensor([[[11 / 6], [3 / 2], [23 / 6], [7 / 2]]], dtype=torch.float64)
    torch.testing.assert_close(made(x, labels), expected, atol=1e-14, rtol=0)


def test_cosines_do_not_see_lengths_and_their_scale_is_at_most_100() -> None:
    qkv = slots()
    scale = torch.full((1, 1, 1), 7.0, dtype=torch.float64)
    longer = torch.cat([3 * qkv[..., :2], qkv[..., 2:4] / 5, qkv[..., 4:]], dim=-1)
    first, second = (attend(x, 1, 4, scale=scale, bias=None, labels=None) for x in (qkv, longer))
    torch.testing.assert_close(first, second, atol=1e-12, rtol=0)
    made = layer(cosine=True)
    made.initialise(torch.Generator())
    assert made.log_scale is not None
    found = made.scale()
    assert found is not None
    torch.testing.assert_close(found, torch.full((2, 1, 1), 10.0, dtype=torch.float64))
    with torch.no_grad():
        made.log_scale.fill_(9.0)
    found = made.scale()
    assert found is not None and float(found.detach().max()) == pytest.approx(100.0)


def test_dropout_by_channel_drops_an_offset_at_once() -> None:
    made = layer(dropout=0.5, dropout_kind="channel", bias=False).train()
    with torch.no_grad():
        made.qkv.weight.zero_()
        made.qkv.bias.zero_()
        made.qkv.bias[12:] = 1.0
        made.out.weight.copy_(torch.eye(6))
        made.out.bias.zero_()
    torch.manual_seed(0)
    out = made(torch.zeros(40, 32, 6, dtype=torch.float64)).detach()
    # All windows of a sample are alike: the same offsets are missing.
    assert torch.equal(out.reshape(40, 8, 4, 6), out[:, None, :4].expand(40, 8, 4, 6))
    assert not torch.equal(out[0], out[1])
    kept = 4 * 0.5 * out[:, :4]
    torch.testing.assert_close(kept, kept.round(), atol=1e-12, rtol=0)
    assert abs(float(kept.mean()) - 2) < 0.25  # of 4 weights


def test_other_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="channels is 6; expected a multiple of heads, 4"):
        WindowAttention(6, 4, 4, *offset_pairs(4, 4))
    with pytest.raises(ValueError, match="channels is 6; expected a multiple of heads, 0"):
        WindowAttention(6, 0, 4, *offset_pairs(4, 4))
    with pytest.raises(ValueError, match=r"pairs has shape \(4, 4\); expected \(16, 16\)"):
        WindowAttention(6, 2, 16, *offset_pairs(4, 4))
    for shape in ((2, 30, 6), (2, 32, 5), (32, 6)):
        with pytest.raises(ValueError, match=r"expected \(batch, windows of 4 slots, 6\)$"):
            layer()(torch.zeros(shape, dtype=torch.float64))
    with pytest.raises(ValueError, match="labels has 9 windows, and x 8; expected at least one"):
        layer()(slots(), torch.zeros(9, 4, dtype=torch.uint8))
