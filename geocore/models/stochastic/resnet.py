"""A small residual network with random weights and without statistics of the batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from geocore.models.stochastic.families import Activation, Family, Layers, activation_named, draw
from geocore.models.stochastic.filter_response_norm import FilterResponseNorm

__all__ = ["ResNet", "ResidualBlock", "stochastic_resnet"]


class ResidualBlock(nn.Module):
    """``s(norm(conv(s(norm(conv(x))))) + short(x))``: two 3x3 convolutions and a way around.

    The first has the ``stride``; ``short`` is a 1x1 convolution where the shape changes, else the
    identity. ``(batch, inputs, height, width) -> (batch, outputs, height / stride, ...)``.
    """

    def __init__(
        self, layers: Layers, inputs: int, outputs: int, stride: int, activation: Activation
    ) -> None:
        super().__init__()
        self.conv1 = layers.convolution(inputs, outputs, stride=stride, bias=False)
        self.norm1 = FilterResponseNorm(outputs)
        self.conv2 = layers.convolution(outputs, outputs, bias=False)
        self.norm2 = FilterResponseNorm(outputs)
        self.short: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.short = layers.convolution(inputs, outputs, kernel=1, stride=stride, bias=False)
        self.activation = activation_named(activation)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.activation(self.norm1(self.conv1(x)))
        out: Tensor = self.activation(self.norm2(self.conv2(inner)) + self.short(x))
        return out


class ResNet(nn.Module):
    """A 3x3 convolution, three stages of blocks, the mean over the image, a linear map.

    Stages after the first start with stride 2. ``(batch, channels, height, width) -> (batch,
    classes)``.
    """

    def __init__(
        self,
        layers: Layers,
        channels: int,
        classes: int,
        blocks: int,
        widths: Sequence[int],
        activation: Activation,
    ) -> None:
        super().__init__()
        self.stem = layers.convolution(channels, widths[0], bias=False)
        self.norm = FilterResponseNorm(widths[0])
        self.activation = activation_named(activation)
        parts: list[nn.Module] = []
        inputs = widths[0]
        for stage, outputs in enumerate(widths):
            for block in range(blocks):
                stride = 2 if stage and block == 0 else 1
                parts.append(ResidualBlock(layers, inputs, outputs, stride, activation))
                inputs = outputs
        self.blocks = nn.Sequential(*parts)
        self.head = layers.linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        features = self.blocks(self.activation(self.norm(self.stem(x))))
        logits: Tensor = self.head(features.mean((-2, -1)))
        return logits


def stochastic_resnet(
    channels: int,
    classes: int,
    family: Family,
    p: float = 0.1,
    *,
    depth: int = 8,
    widths: Sequence[int] = (16, 32, 64),
    activation: Activation = "silu",
    rescale: bool = True,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> ResNet:
    """The residual network of ``depth = 6 n + 2`` (8, 14, 20, ...), ``n`` blocks a stage.

    ``(batch, channels, height, width) -> (batch, classes)``. Filter response norm in place of
    batch norm and, by default, SiLU, as in the network of the HMC reference on CIFAR-10
    (arXiv:2104.14421, depth 20). With "dropout" and "dropconnect" all layers but the first
    convolution are random, with "nonparametric" all are. DropConnect holds each sample's own
    filters of one layer after another, and all of them for the gradient: 272,000 weights a sample
    at depth 20. Weights follow from ``seed`` alone; those of another dtype are the same, rounded.
    Raises ``ValueError`` for another depth, for widths that are not three positive ones, and for
    an unknown family or activation.
    """
    if depth < 8 or depth % 6 != 2:
        raise ValueError(f"depth is {depth}; expected 8, 14, 20, ...: 6 n + 2")
    if len(widths) != 3 or min(*widths, channels, classes) < 1:
        found = f"{channels}, {tuple(widths)}, {classes}"
        raise ValueError(
            f"channels, widths, classes are {found}; expected positive integers, three widths"
        )
    layers = Layers(family, p, rescale)
    model = ResNet(layers, channels, classes, depth // 6, widths, activation)
    draw(model, seed)
    return model.to(dtype)
