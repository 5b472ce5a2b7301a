"""A pass is the convolution with the filters that each sample really uses."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call

from geocore.models.stochastic.convolution import (
    DropConnectConv2d,
    DropoutConv2d,
    NonparametricConv2d,
)
from geocore.testing import assert_parity
from tests.models.stochastic.families import (
    CONVOLUTIONS,
    F64,
    by_realised_weights,
    filled,
    noise,
)


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_pass_is_the_convolution_with_each_samples_filters(name: str) -> None:
    layer = filled(CONVOLUTIONS[name])
    x, u = torch.randn(4, layer.theta_shape[1], 6, 7, dtype=F64), noise(layer, 4)
    assert_parity(
        lambda x: layer.sample(x, u), lambda x: by_realised_weights(layer, x, u), x, atol=1e-12
    )


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_gradients(name: str) -> None:
    layer = filled(CONVOLUTIONS[name])
    x = torch.randn(2, layer.theta_shape[1], 4, 4, dtype=F64, requires_grad=True)
    u, names = noise(layer, 2), [key for key, _ in layer.named_parameters()]

    def passed(x: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        layer.noise = u
        out: torch.Tensor = functional_call(layer, dict(zip(names, values, strict=True)), (x,))
        return out

    assert torch.autograd.gradcheck(passed, (x, *layer.parameters()), atol=1e-7)


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_channels_last_is_another_layout_of_the_same(name: str) -> None:
    layer = filled(CONVOLUTIONS[name])
    x, u = torch.randn(4, layer.theta_shape[1], 6, 7, dtype=F64), noise(layer, 4)
    expected = layer.sample(x, u)
    if layer.weight.ndim == 4:
        layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
    found = layer.sample(x.contiguous(memory_format=torch.channels_last), u)
    torch.testing.assert_close(found, expected, atol=1e-13, rtol=0)


@pytest.mark.parametrize("rescale", [True, False])
@pytest.mark.parametrize("kind", [DropoutConv2d, DropConnectConv2d])
def test_without_dropping_it_is_the_plain_convolution(
    kind: type[DropoutConv2d | DropConnectConv2d], rescale: bool
) -> None:
    layer = kind(5, 4, 3, 0.0, rescale, stride=2, padding=1, dtype=F64)
    x, u = torch.randn(3, 5, 9, 8, dtype=F64), noise(layer, 3)
    u[0] = 0  # the least that is drawn
    expected = F.conv2d(x, layer.weight, layer.bias, stride=2, padding=1)
    torch.testing.assert_close(layer.sample(x, u), expected, atol=1e-14, rtol=0)


def test_equal_filters_are_the_plain_convolution() -> None:
    layer = NonparametricConv2d(5, 4, 3, padding=1, bias=False, dtype=F64)
    with torch.no_grad():
        layer.weight[1] = layer.weight[0]
    x = torch.randn(3, 5, 9, 8, dtype=F64)
    expected = F.conv2d(x, layer.weight[0], padding=1)
    torch.testing.assert_close(layer.sample(x, noise(layer, 3)), expected, atol=1e-14, rtol=0)


def test_dropout_drops_whole_channels() -> None:
    layer = DropoutConv2d(3, 3, 1, 0.5, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(3)[..., None, None])
    out = layer.sample(torch.ones(50, 3, 4, 4), noise(layer, 50)).detach()
    assert set(out.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(out, out[..., :1, :1].expand_as(out))


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_refuses_other_shapes(name: str) -> None:
    layer = CONVOLUTIONS[name]()
    channels = layer.theta_shape[1]
    x, u = torch.zeros(4, channels, 6, 6, dtype=F64), noise(layer, 4)
    with pytest.raises(
        ValueError, match=rf"x has shape \(4, 9, 6, 6\); expected \(batch, {channels},"
    ):
        layer.sample(torch.zeros(4, 9, 6, 6), u)
    with pytest.raises(ValueError, match=rf"x has shape \({channels}, 6, 6\); expected \(batch, "):
        layer.sample(x[0], u)
    with pytest.raises(ValueError, match=r"u has shape .*; expected \(4, "):
        layer.sample(x, u[:1])


def test_refuses_no_stride() -> None:
    with pytest.raises(ValueError, match="stride and padding are 0, 1; expected >= 1 and >= 0"):
        NonparametricConv2d(1, 1, 3, stride=0, padding=1)
