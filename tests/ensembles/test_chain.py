"""Chains of simple layers as one program: the layers that are known, and that none is forgotten."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from geocore.ensembles.chain import Chain
from geocore.ensembles.stack import Stack

F64 = torch.float64
LAYERS: list[nn.Module] = [
    nn.Identity(), nn.ReLU(), nn.LeakyReLU(0.1), nn.ELU(0.7), nn.GELU(), nn.GELU("tanh"), nn.SiLU(),
    nn.Softplus(2.0, 3.0), nn.Sigmoid(), nn.Tanh(), nn.LayerNorm(5), nn.LayerNorm(5, bias=False),
    nn.LayerNorm(5, elementwise_affine=False), nn.Linear(5, 5, bias=False),
    nn.Sequential(nn.Linear(5, 5), nn.Sequential(nn.Tanh())),
]  # fmt: skip


def build_with(layer: nn.Module, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 5), layer, nn.Linear(5, 2)).double()
    for p in model.parameters():
        nn.init.normal_(p)
    return model


def together(stack: Stack, x: Tensor) -> Tensor:
    chain = Chain.of(stack.template)
    assert chain is not None
    return chain(stack.named(stack.weights), x)


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_every_layer_is_that_of_each_member(layer: nn.Module) -> None:
    stack = Stack(lambda seed: build_with(layer, seed), (1, 2, 3), torch.device("cpu"))
    x = torch.randn(3, 6, 4, dtype=F64)
    expected = torch.stack([stack.module(k)(x[k]) for k in range(3)])
    torch.testing.assert_close(together(stack, x), expected, atol=1e-12, rtol=0)


def test_images_are_flattened() -> None:
    def build(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(12, 2)).double()

    stack = Stack(build, (1, 2), torch.device("cpu"))
    x = torch.randn(2, 5, 3, 2, 2, dtype=F64)
    expected = torch.stack([stack.module(k)(x[k]) for k in range(2)])
    torch.testing.assert_close(together(stack, x), expected, atol=1e-12, rtol=0)
    bare = Chain.of(nn.Sequential(nn.Linear(12, 2)))
    assert bare is not None
    with pytest.raises(ValueError, match=r"x has shape \(2, 5, 3, 2, 2\); expected"):
        bare({}, x)


IMAGES: list[tuple[nn.Module, ...]] = [
    (nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 2)),
    (nn.Identity(), nn.Conv2d(2, 3, 3, padding=1, bias=False), nn.Tanh(), nn.AvgPool2d(2),
     nn.Sequential(nn.Conv2d(3, 4, 2, stride=2), nn.ReLU()), nn.Flatten(), nn.LayerNorm(4),
     nn.Linear(4, 5), nn.GELU(), nn.Linear(5, 2)),
    (nn.MaxPool2d(2), nn.Conv2d(2, 4, 3), nn.Flatten(), nn.Linear(4, 2)),
]  # fmt: skip


@pytest.mark.parametrize("layers", IMAGES, ids=["plain", "nested", "pooled first"])
def test_images_are_convolved(layers: tuple[nn.Module, ...]) -> None:
    def build(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        model = copy.deepcopy(nn.Sequential(*layers)).double()
        for p in model.parameters():
            nn.init.normal_(p)
        return model

    stack = Stack(build, (1, 2, 3), torch.device("cpu"))
    x = torch.randn(3, 5, 2, 6, 6, dtype=F64)
    expected = torch.stack([stack.module(k)(x[k]) for k in range(3)])
    torch.testing.assert_close(together(stack, x), expected, atol=1e-11, rtol=0)
    with pytest.raises(ValueError, match=r"x has shape \(3, 5, 72\); expected .* channels, height"):
        together(stack, x.flatten(2))


def test_the_widest_layer_decides_how_many_go_together() -> None:
    chain = Chain.of(nn.Sequential(*IMAGES[0]))
    assert chain is not None and chain.widest == 3 * 16  # as the image of 6 x 6 gives
    chain = Chain.of(nn.Sequential(nn.Linear(4, 9), nn.Linear(9, 2)))
    assert chain is not None and chain.widest == 9


def test_large_convolutions_are_torch_s_own() -> None:
    def convolving(channels: int, edge: int) -> nn.Module:
        flat = nn.Linear(channels * edge**2, 2)
        return nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.Flatten(), flat)

    assert Chain.of(convolving(8, 8)) is not None
    assert Chain.of(convolving(64, 8)) is None
    assert Chain.of(convolving(8, 32)) is None


def test_one_activation_may_stand_twice() -> None:
    relu = nn.ReLU()
    model = nn.Sequential(nn.Linear(3, 3), relu, nn.Linear(3, 3), relu).double()
    stack = Stack(lambda seed: model, (0,), torch.device("cpu"))
    x = torch.randn(1, 4, 3, dtype=F64)
    torch.testing.assert_close(together(stack, x)[0], model(x[0]), atol=1e-12, rtol=0)


class Custom(nn.Linear):
    """Not what its base does."""

    def forward(self, x: Tensor) -> Tensor:
        return -super().forward(x)


class Residual(nn.Sequential):
    """A chain with a way around it."""

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + super().forward(x)  # type: ignore[no-untyped-call]
        return out


def frozen() -> nn.Module:
    layer = nn.Linear(2, 2)
    layer.bias.requires_grad_(False)
    return nn.Sequential(layer)


def tied_bias() -> nn.Module:
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.bias = first.bias
    return nn.Sequential(first, second)


def hooked() -> nn.Module:
    layer = nn.Linear(2, 2)
    layer.register_forward_hook(lambda module, given, out: 2 * out)
    return nn.Sequential(layer)


@pytest.mark.parametrize(
    "model",
    [
        Residual(nn.Linear(2, 2)),
        nn.Sequential(Residual(nn.Linear(2, 2)), nn.Linear(2, 2)),
        frozen(),
        tied_bias(),
        hooked(),
        nn.Linear(2, 2),
        nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1)),
        nn.Sequential(Custom(2, 2)),
        nn.Sequential(nn.Linear(2, 2), nn.Flatten()),
        nn.Sequential(nn.Flatten(2), nn.Linear(2, 2)),
        nn.Sequential(nn.LayerNorm((2, 2))),
        nn.Sequential(nn.Softmax(dim=1)),
        nn.Sequential(tied := nn.Linear(2, 2), tied),
        nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU()),
        nn.Sequential(nn.Conv2d(1, 2, 2), nn.Linear(2, 2), nn.Flatten(), nn.Linear(2, 2)),
        nn.Sequential(nn.Conv2d(2, 2, 2, groups=2), nn.Flatten(), nn.Linear(2, 2)),
        nn.Sequential(nn.Conv2d(1, 2, 2), nn.Flatten(), nn.Linear(2, 2), nn.Flatten()),
        nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(2, 2)),
    ],
    ids=str,
)
def test_what_is_no_chain(model: nn.Module) -> None:
    assert Chain.of(model) is None
