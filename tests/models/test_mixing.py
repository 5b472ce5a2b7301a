"""Fast mixing against what it is, written out; runs do not see one another."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from geocore.models.mixing import Attention, TokenMlp, attention_reference
from geocore.models.pairs import free_pairs, orbit_pairs, window_pairs
from geocore.testing import assert_parity

FACES = tuple(range(12))


def drawn(layer: Attention | TokenMlp) -> Attention | TokenMlp:
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(generator=generator).mul_(0.5)
    return layer.double()


def tokens(count: int, channels: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, count, channels, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(
    ("geometry", "count"),
    [
        (window_pairs(4), 48),
        (window_pairs(16), 48),
        (window_pairs(256), 512),  # beyond the explicit path: the fused call
        (orbit_pairs(FACES, 4), 48),
        (orbit_pairs((2, 3, 9), 1), 3),
    ],
)
@pytest.mark.parametrize("heads", [1, 3])
def test_attention_is_its_reference(geometry: tuple[Tensor, int], count: int, heads: int) -> None:
    layer = drawn(Attention(6, heads, *geometry))
    assert isinstance(layer, Attention)
    assert_parity(layer, lambda x: attention_reference(layer, x), tokens(count, 6), atol=1e-12)


def test_attention_by_hand() -> None:
    # q = k = 0: the weights are the softmax of the bias alone; v = x, and so is the output map.
    layer = Attention(1, 1, *window_pairs(4)).double()
    with torch.no_grad():
        layer.qkv.weight.copy_(torch.tensor([[0.0], [0.0], [1.0]]))
        layer.qkv.bias.zero_()
        layer.out.weight.fill_(1.0)
        layer.out.bias.zero_()
        layer.bias_table[0, 7] = math.log(5.0)  # the neighbour at dx = 1, dy = 0
    x = torch.tensor([[[1.0], [2.0], [3.0], [4.0]]], dtype=torch.float64)
    # Tokens 0 and 2 have that neighbour (1 and 3): weights 1, 5, 1, 1 of 8, and 1, 1, 1, 5 of 8.
    expected = torch.tensor([[[18 / 8], [10 / 4], [26 / 8], [10 / 4]]], dtype=torch.float64)
    torch.testing.assert_close(layer(x), expected, atol=1e-14, rtol=0)


@pytest.mark.parametrize("heads", [1, 2])
def test_token_mlp_is_two_matrices(heads: int) -> None:
    layer = drawn(TokenMlp(4, heads, *free_pairs(4)))
    assert isinstance(layer, TokenMlp)

    def reference(x: Tensor) -> Tensor:
        out = torch.empty_like(x)
        for run in range(0, x.shape[1], 4):
            for channel in range(4):
                head = channel // (4 // heads)
                inner = layer.inner_table[head].reshape(4, 4) @ x[:, run : run + 4, channel].T
                inner = F.gelu(inner + layer.inner_bias[head, 0, 0])
                mixed = layer.outer_table[head].reshape(4, 4) @ inner
                out[:, run : run + 4, channel] = mixed.T
        return out

    assert_parity(layer, reference, tokens(12, 4), atol=1e-13)


@pytest.mark.parametrize(
    "layer", [Attention(4, 2, *window_pairs(4)), TokenMlp(4, 2, *free_pairs(4))]
)
def test_a_run_sees_itself_alone(layer: Attention | TokenMlp) -> None:
    layer = drawn(layer)
    x = tokens(12, 4)
    other = x.clone()
    other[:, 4:8] += 1
    change = (layer(other) - layer(x)).abs().amax(dim=(0, 2))
    assert (change[4:8] > 1e-6).all()
    assert (change[:4] == 0).all() and (change[8:] == 0).all()


@pytest.mark.parametrize("kind", [Attention, TokenMlp])
def test_heads_divide_channels(kind: type[Attention] | type[TokenMlp]) -> None:
    with pytest.raises(ValueError, match="channels is 6; expected a multiple of heads, 4"):
        kind(6, 4, *window_pairs(4))
