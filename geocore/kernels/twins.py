"""Finite-width twins of infinitely wide networks, in the NTK parametrisation.

``z = s W h / sqrt(fan_in) + b v`` with entries of ``W`` and ``v`` from N(0, 1): the mean over draws
of ``f(x) f(x')`` is the NNGP, that of the scalar product of both gradients the NTK, but for terms
that fall with the width. Maps are ``(batch, channels, height, width)``, functions of a group
``(batch, channels, order, height, width)``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocore.groups.finite import PlanarGroup
from geocore.groups.planar_action import moved
from geocore.kernels.composed import InfiniteNetwork, Residual
from geocore.kernels.convolution import Convolution
from geocore.kernels.dual import Activation
from geocore.kernels.group_layers import (
    GroupConvolution,
    GroupPool,
    LiftingConvolution,
    moved_copies,
    permutes_pixels,
)
from geocore.kernels.layers import (
    AveragePool,
    Dense,
    Flatten,
    Form,
    GlobalAveragePool,
    Identity,
    Layer,
    LayerNorm,
)
from geocore.kernels.windows import padding_amounts

__all__ = ["finite_twin"]


def finite_twin(
    network: InfiniteNetwork,
    input_shape: tuple[int, ...],
    width: int,
    outputs: int = 1,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float64,
) -> nn.Module:
    """The network with ``width`` channels in each hidden layer and ``outputs`` in its last.

    ``input_shape`` is that of a sample, ``(channels, height, width)`` or ``(features,)``. Weights
    are drawn from ``generator``. Raises ``ValueError`` for inputs that the network does not take,
    and for windows that go around the torus more than once.
    """
    if len(input_shape) not in (1, 3) or width < 1 or outputs < 1:
        raise ValueError(
            f"input_shape, width and outputs are {input_shape}, {width} and {outputs}; expected "
            "(channels, height, width) or (features,), and at least 1 of both"
        )
    form = Form((input_shape[1], input_shape[2]) if len(input_shape) == 3 else None)
    builder = _Builder(width, outputs, generator, dtype)
    last = max((n for n, l in enumerate(network.layers) if _weighs(l)), default=-1)
    modules = []
    channels = input_shape[0]
    for place, layer in enumerate(network.layers):
        module, channels = builder.of(layer, form, channels, place == last)
        form = layer.plan(form)
        modules.append(module)
    return nn.Sequential(*modules)


class _Scaled(nn.Module):
    """``s W h / sqrt(fan_in) + b v``: weights ``(out, *fan_in)`` and biases ``(out,)``."""

    def __init__(self, shape: tuple[int, ...], layer: Dense | Convolution, draw: _Builder) -> None:
        super().__init__()
        self.layer = layer
        self.scale = layer.weight_std / math.sqrt(math.prod(shape[1:]))
        self.weight = nn.Parameter(draw.normal(shape))
        self.bias = nn.Parameter(draw.normal(shape[:1])) if layer.bias_std else None

    def shift(self) -> Tensor | None:
        return None if self.bias is None else self.layer.bias_std * self.bias


class _Linear(_Scaled):
    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.scale * self.weight, self.shift())


class _Convolution(_Scaled):
    """Functions of a group that does not permute pixels go through it element by element."""

    layer: Convolution

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 5:
            by_element = [self.convolved(x[:, :, g], self.weight) for g in range(x.shape[2])]
            return torch.stack(by_element, dim=2)
        return self.convolved(x, self.weight)

    def convolved(self, x: Tensor, weight: Tensor) -> Tensor:
        layer = self.layer
        vertical, horizontal = (
            padding_amounts(size, taps, layer.stride, layer.padding)
            for size, taps in zip(x.shape[-2:], layer.taps, strict=True)
        )
        mode = "circular" if layer.padding == "circular" else "constant"
        x = F.pad(x, (*horizontal, *vertical), mode=mode)
        found: Tensor = F.conv2d(x, self.scale * weight, stride=layer.stride)
        shift = self.shift()
        return found if shift is None else found + shift[:, None, None]


class _Lifting(_Convolution):
    """``h(g, x) = sum_t psi(t) f(x + g t)``; on moved images where ``g`` moves no pixel to one."""

    layer: LiftingConvolution

    def forward(self, x: Tensor) -> Tensor:
        group = self.layer.group
        if permutes_pixels(group):
            filters = (moved(group, g, self.weight) for g in group)
            return torch.stack([self.convolved(x, w) for w in filters], dim=2)
        copies = moved_copies(group, x, range(group.order))
        return torch.stack([self.convolved(copies[:, g], self.weight) for g in group], dim=2)


class _OnGroup(_Convolution):
    """``h(g, x) = sum_{u, t} psi(u, t) f(g u, x + g t)``; without rotation support ``u`` is 1."""

    def __init__(
        self, shape: tuple[int, ...], layer: GroupConvolution, draw: _Builder, group: PlanarGroup
    ) -> None:
        super().__init__(shape, layer, draw)
        self.group, self.within = group, layer.rotation_support

    def forward(self, x: Tensor) -> Tensor:
        found = []
        for g in self.group:
            filters = moved(self.group, g, self.weight)
            if self.within:
                seen = x[:, :, [self.group.product(g, u) for u in self.group]]
                found.append(self.convolved(seen.flatten(1, 2), filters.flatten(1, 2)))
            else:
                found.append(self.convolved(x[:, :, g], filters))
        return torch.stack(found, dim=2)


class _Elementwise(nn.Module):
    def __init__(self, activation: Activation) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.activation.function(x)


class _Normed(nn.Module):
    """Over channels; means are subtracted, as networks do."""

    def __init__(self, eps: float) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(dim=1, keepdim=True)
        return centred * (centred.square().mean(dim=1, keepdim=True) + self.eps).rsqrt()


class _Mean(nn.Module):
    """The mean over some axes."""

    def __init__(self, *axes: int) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=self.axes)


class _Windows(nn.Module):
    def __init__(self, layer: AveragePool) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1, -3)
        found: Tensor = F.avg_pool2d(flat, self.layer.window, self.layer.step)
        by_channel: Tensor = found.unflatten(1, x.shape[1:-2])
        return by_channel


class _Sum(nn.Module):
    def __init__(self, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch, self.shortcut = branch, shortcut

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.branch(x) + self.shortcut(x)
        return found


class _Builder:
    """Modules of layers, one after another, with draws from one generator."""

    def __init__(
        self, width: int, outputs: int, generator: torch.Generator | None, dtype: torch.dtype
    ) -> None:
        self.width, self.outputs = width, outputs
        self.generator, self.dtype = generator, dtype

    def normal(self, shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=self.generator, dtype=self.dtype)

    def of(
        self, layer: Layer, form: Form, channels: int, is_last: bool = False
    ) -> tuple[nn.Module, int]:
        """The module of ``layer`` behind so many channels, and how many it gives."""
        out = self.outputs if is_last else self.width
        if isinstance(layer, Convolution) and form.size is not None:
            _check_turns(layer, form.size)
        match layer:
            case Residual():
                branch, after = self.chain(layer.branch, form, channels)
                shortcut, others = self.chain(layer.shortcut, form, channels)
                if after != others:
                    raise ValueError(
                        f"branch and shortcut of Residual have {after} and {others} channels; "
                        "expected equal ones, so a layer with weights before"
                    )
                return _Sum(branch, shortcut), after
            case Dense():
                return _Linear((out, channels), layer, self), out
            case LiftingConvolution():
                return _Lifting((out, channels, *layer.taps), layer, self), out
            case GroupConvolution():
                group = form.group
                if group is None or not permutes_pixels(group):
                    return _Convolution((out, channels, *layer.taps), layer, self), out
                seen = (channels, group.order) if layer.rotation_support else (channels,)
                return _OnGroup((out, *seen, *layer.taps), layer, self, group), out
            case Convolution():
                return _Convolution((out, channels, *layer.taps), layer, self), out
            case GlobalAveragePool():
                return _Mean(-2, -1), channels
            case GroupPool():
                return _Mean(2), channels
            case AveragePool():
                return _Windows(layer), channels
            case Flatten():
                height, width = form.size or (1, 1)
                return nn.Flatten(), channels * height * width
            case LayerNorm():
                return _Normed(layer.eps), channels
            case Identity():
                return nn.Identity(), channels
            case Activation():
                return _Elementwise(layer), channels
        raise ValueError(f"{layer.name} has no finite twin")

    def chain(self, layers: Iterable[Layer], form: Form, channels: int) -> tuple[nn.Module, int]:
        modules = []
        for layer in layers:
            module, channels = self.of(layer, form, channels)
            form = layer.plan(form)
            modules.append(module)
        return nn.Sequential(*modules), channels


def _check_turns(layer: Convolution, size: tuple[int, int]) -> None:
    for side, taps in zip(size, layer.taps, strict=True):
        amounts = padding_amounts(side, taps, layer.stride, layer.padding)
        if layer.padding == "circular" and max(amounts) > side:
            raise ValueError(
                f"kernel_size is {taps} on {side} pixels of a torus; expected at most "
                f"{2 * side + 1} in a finite twin"
            )


def _weighs(layer: Layer) -> bool:
    return isinstance(layer, Dense | Convolution)
