"""The same networks in neural-tangents, as a second opinion."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from geocore.compat import import_neural_tangents
from geocore.kernels.composed import InfiniteNetwork, Kernels, Residual
from geocore.kernels.convolution import Convolution
from geocore.kernels.layers import (
    AveragePool,
    Dense,
    Erf,
    Flatten,
    Gelu,
    GlobalAveragePool,
    Identity,
    Layer,
    LayerNorm,
    LeakyRelu,
    Relu,
)

__all__ = ["by_neural_tangents"]


def by_neural_tangents(network: InfiniteNetwork, x1: Tensor, x2: Tensor) -> Kernels:
    """The kernels, by neural-tangents in the inputs' dtype; images are laid out as it wants."""
    stax = import_neural_tangents().stax
    import jax
    from jax.experimental import enable_x64

    def array(x: Tensor) -> Any:
        return np.asarray(x.movedim(1, -1).contiguous() if x.ndim == 4 else x)

    with enable_x64(x1.dtype == torch.float64):
        kernel = jax.jit(lambda a, b: stax.serial(*_layers(stax, network.layers))[2](a, b))
        found = kernel(array(x1), array(x2))
        nngp, ntk = (torch.from_numpy(np.array(k)) for k in (found.nngp, found.ntk))
        return Kernels(nngp, ntk)


def _layers(stax: Any, layers: Iterable[Layer]) -> list[Any]:
    return [_layer(stax, layer) for layer in layers]


def _layer(stax: Any, layer: Layer) -> Any:
    match layer:
        case Dense():
            return stax.Dense(1, layer.weight_std, layer.bias_std)
        case Convolution():
            padding, strides = layer.padding.upper(), (layer.stride, layer.stride)
            return stax.Conv(1, layer.taps, strides, padding, layer.weight_std, layer.bias_std)
        case Relu():
            return stax.Relu()
        case LeakyRelu():
            return stax.LeakyRelu(layer.negative_slope)
        case Erf():
            return stax.Erf()
        case Gelu():
            return stax.Gelu()
        case AveragePool():
            window, step = layer.window, layer.step
            return stax.AvgPool((window, window), (step, step), "VALID")
        case Flatten():
            return stax.Flatten()
        case GlobalAveragePool():
            return stax.GlobalAvgPool()
        case LayerNorm():
            return stax.LayerNorm(eps=layer.eps)
        case Identity():
            return stax.Identity()
        case Residual():
            both = (stax.serial(*_layers(stax, part)) for part in (layer.branch, layer.shortcut))
            return stax.serial(stax.FanOut(2), stax.parallel(*both), stax.FanInSum())
    raise ValueError(f"no layer of neural-tangents for {layer.name}")
