"""One small layer of each family, and how its pass reads from the weights that it really uses."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from geocore.models.stochastic.convolution import (
    DropConnectConv2d,
    DropoutConv2d,
    NonparametricConv2d,
)
from geocore.models.stochastic.layer import StochasticLayer
from geocore.models.stochastic.linear import DropConnectLinear, DropoutLinear, NonparametricLinear

F64 = torch.float64
LinearLayer = DropoutLinear | DropConnectLinear | NonparametricLinear

LINEAR: dict[str, Callable[[], LinearLayer]] = {
    "dropout": lambda: DropoutLinear(3, 2, 0.3, dtype=F64),
    "dropout-plain": lambda: DropoutLinear(3, 2, 0.3, False, bias=False, dtype=F64),
    "dropconnect": lambda: DropConnectLinear(3, 2, 0.3, dtype=F64),
    "dropconnect-plain": lambda: DropConnectLinear(3, 2, 0.3, False, bias=False, dtype=F64),
    "nonparametric": lambda: NonparametricLinear(3, 4, dtype=F64),
    "nonparametric-no-bias": lambda: NonparametricLinear(3, 4, bias=False, dtype=F64),
}

CONVOLUTIONS: dict[str, Callable[[], StochasticLayer]] = {
    "dropout": lambda: DropoutConv2d(3, 2, 3, 0.3, stride=2, padding=1, dtype=F64),
    "dropout-plain": lambda: DropoutConv2d(3, 2, 3, 0.3, False, bias=False, dtype=F64),
    "dropconnect": lambda: DropConnectConv2d(2, 2, 2, 0.3, stride=2, padding=1, dtype=F64),
    "dropconnect-plain": lambda: DropConnectConv2d(2, 1, 2, 0.3, False, bias=False, dtype=F64),
    "nonparametric": lambda: NonparametricConv2d(3, 4, 3, stride=2, padding=1, dtype=F64),
    "nonparametric-no-bias": lambda: NonparametricConv2d(3, 4, 3, bias=False, dtype=F64),
}


def filled(make: Callable[[], StochasticLayer], seed: int = 0) -> StochasticLayer:
    """The layer with all of its parameters, biases too, normal from ``seed``."""
    layer, generator = make(), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(generator=generator)
    return layer


def noise(layer: StochasticLayer, *batch: int, seed: int = 0) -> Tensor:
    return torch.rand(*batch, *layer.noise_shape, generator=torch.Generator().manual_seed(seed))


def by_realised_weights(layer: StochasticLayer, x: Tensor, u: Tensor) -> Tensor:
    """One sample after the other, each with the plain layer of its own weights."""
    theta, biases = layer.realised(u)
    outs = []
    for n in range(len(x)):
        bias = None if biases is None else biases[n]
        if x.ndim == 2:
            outs.append(F.linear(x[n], theta[n], bias))
        else:
            stride, padding = int(layer.stride), int(layer.padding)  # type: ignore[arg-type]
            outs.append(F.conv2d(x[n : n + 1], theta[n], bias, stride, padding)[0])
    return torch.stack(outs)


def outcomes(layer: StochasticLayer, p: float) -> tuple[Tensor, Tensor]:
    """Every outcome of the noise, ``(outcomes, *noise_shape)``, and its probability."""
    count = int(torch.tensor(layer.noise_shape).prod())
    bits = (torch.arange(1 << count)[:, None] >> torch.arange(count)) & 1
    kept = bits.sum(1).to(F64)
    return (bits * 0.999).view(-1, *layer.noise_shape), (1 - p) ** kept * p ** (count - kept)
