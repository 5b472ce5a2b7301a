"""The part of a steerable network that is plain torch: what follows a convolution, and the whole.

Nothing here imports escnn: a network that ``SteerableNetwork.export`` gave is built again from its
``spec``, which is JSON, and its ``state_dict``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["FieldActivation", "FieldInvariants", "PlainSteerable", "Segment"]

NONLINEARITIES = ("relu", "norm", "gated", "fourier", "none")
_OVERSAMPLED = 2  # samples of a circle feature by its coefficients, at least
_TINY = 1e-10  # a norm below counts as this one, so that 0 stays 0 and has a gradient


@dataclass(frozen=True)
class Segment:
    """``fields`` copies of a feature, each of ``blocks`` vectors of ``width`` channels.

    The group permutes the blocks of a field and turns each; where it is ``permuted`` it does no
    more than permute, and the width is 1. On a ``circle`` a block is a function on the circle.
    """

    fields: int
    blocks: int
    width: int
    permuted: bool
    circle: bool = False

    @property
    def channels(self) -> int:
        """All of its channels."""
        return self.fields * self.blocks * self.width

    def split(self, x: Tensor) -> Tensor:
        """``(batch, channels, h, w)`` -> ``(batch, fields, blocks, width, h, w)``."""
        vectors: Tensor = x.unflatten(1, (self.fields, self.blocks, self.width))
        return vectors


class FieldActivation(nn.Module):
    """ReLU where the group permutes channels; elsewhere ``v -> v s`` with an invariant ``s``.

    Nonlinearity ``norm``: ``s = relu(|v| - e^b) / |v|`` for each block, one ``b`` a field, at first
    log 0.1. ``gated``: ``s = sigmoid(gate)``, where the gates are scalars, one a field, that the
    input has after its other channels and the output has not. ``fourier``: norms, but on circles
    ReLU of the function's values at equispaced angles, and the coefficients of what comes; the
    angles are a multiple of 4, so that quarter turns and mirrors permute them, and others obey as
    far as values between are resolved. ``relu`` is for what is permuted alone; ``none`` changes
    nothing. ``f(rho(g) v) = rho(g) f(v)`` for each. Raises ``ValueError``
    for ReLU on what turns, and for an unknown nonlinearity.
    """

    def __init__(self, layout: Sequence[Segment], nonlinearity: str = "norm") -> None:
        super().__init__()
        if nonlinearity not in NONLINEARITIES:
            expected = ", ".join(NONLINEARITIES)
            raise ValueError(f"nonlinearity is {nonlinearity!r}; expected one of {expected}")
        if nonlinearity == "relu" and not all(segment.permuted for segment in layout):
            raise ValueError("nonlinearity is 'relu' on fields that turn; expected norm or gated")
        self.layout, self.nonlinearity = tuple(layout), nonlinearity
        self.sampled = [segment.circle and nonlinearity == "fourier" for segment in layout]
        for number, segment in enumerate(layout):
            if self.sampled[number]:
                values = _circle_values(segment.width)
                self.register_buffer(f"values_{number}", values, persistent=False)
        turning = sum(
            segment.fields
            for segment, sampled in zip(layout, self.sampled, strict=True)
            if not (segment.permuted or sampled)
        )
        self.gates = turning if nonlinearity == "gated" else 0
        self.log_bias: nn.Parameter | None = None
        if nonlinearity in ("norm", "fourier") and turning:
            self.log_bias = nn.Parameter(torch.full((turning,), math.log(0.1)))

    def forward(self, x: Tensor) -> Tensor:
        if self.nonlinearity == "none":
            return x
        sizes = [segment.channels for segment in self.layout]
        *parts, gates = x.split([*sizes, x.shape[1] - sum(sizes)], dim=1)
        done, first = [], 0
        for number, (segment, part) in enumerate(zip(self.layout, parts, strict=True)):
            if segment.permuted:
                done.append(part.relu())
                continue
            if self.sampled[number]:
                values = self.get_buffer(f"values_{number}").to(part)
                there = torch.einsum("jk,zfbkxy->zfbjxy", values, segment.split(part)).relu()
                back = torch.einsum("jk,zfbjxy->zfbkxy", values / len(values), there)
                done.append(back.flatten(1, 3))
                continue
            vectors, here = segment.split(part), slice(first, first := first + segment.fields)
            if self.log_bias is None:
                scale = gates[:, here, None, None].sigmoid()
            else:
                norm = _norm(vectors).unsqueeze(3)
                bias = self.log_bias[here].exp()[:, None, None, None, None]
                scale = (norm - bias).relu() / norm
            done.append((vectors * scale).flatten(1, 3))
        return torch.cat(done, dim=1)


class FieldInvariants(nn.Module):
    """``max`` or ``mean`` over blocks of ``|v|``, of ``v`` where the group permutes channels.

    One channel a field, which moves with the image alone: ``f(rho(g) v) = f(v)``. Raises
    ``ValueError`` for another kind.
    """

    def __init__(self, layout: Sequence[Segment], kind: str = "max") -> None:
        super().__init__()
        if kind not in ("max", "mean"):
            raise ValueError(f"kind is {kind!r}; expected 'max' or 'mean'")
        self.layout, self.kind = tuple(layout), kind

    def forward(self, x: Tensor) -> Tensor:
        parts = x.split([segment.channels for segment in self.layout], dim=1)
        found = []
        for segment, part in zip(self.layout, parts, strict=True):
            vectors = segment.split(part)
            each = vectors.squeeze(3) if segment.permuted else _norm(vectors)
            found.append(each.amax(dim=2) if self.kind == "max" else each.mean(dim=2))
        return torch.cat(found, dim=1)


class PlainSteerable(nn.Module):
    """Convolutions with field activations and pooling, at the end fields or invariant outputs.

    ``(batch, in, size, size)`` -> ``(batch, channels, ...)``, or ``(batch, outputs)`` where
    ``spec["outputs"]`` is a number: invariants, their mean over the plane, a linear layer. ``spec``
    is what JSON holds: ``in``, ``layers`` (``kernel_size``, ``layout``, ``nonlinearity``,
    ``pool``), ``invariant``, ``outputs``. Pooling halves odd sizes by windows of 3 about every
    other pixel, so that quarter turns stay exact. Raises ``ValueError`` for max pooling of what
    turns.
    """

    def __init__(self, spec: Mapping[str, Any]) -> None:
        super().__init__()
        self.spec = dict(spec)
        self.convolutions, self.activations, self.pools = (nn.ModuleList() for _ in range(3))
        channels = int(spec["in"])
        for layer in spec["layers"]:
            layout = [Segment(*segment) for segment in layer["layout"]]
            activation = FieldActivation(layout, layer["nonlinearity"])
            inside = sum(segment.channels for segment in layout)
            size = int(layer["kernel_size"])
            self.convolutions.append(
                nn.Conv2d(channels, inside + activation.gates, size, padding=size // 2)
            )
            self.activations.append(activation)
            self.pools.append(_pool(layer["pool"], layout))
            channels = inside
        self.head: nn.Module | None = None
        if spec["outputs"] is not None:
            invariants = FieldInvariants(layout, spec["invariant"])
            fields = sum(segment.fields for segment in layout)
            self.head = nn.Sequential(
                invariants,
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
                nn.Linear(fields, int(spec["outputs"])),
            )

    def forward(self, x: Tensor) -> Tensor:
        steps = zip(self.convolutions, self.activations, self.pools, strict=True)
        for convolution, activation, pool in steps:
            x = pool(activation(convolution(x)))
        return x if self.head is None else self.head(x)


def _norm(vectors: Tensor) -> Tensor:
    return vectors.square().sum(dim=3).clamp_min(_TINY**2).sqrt()


def _circle_values(width: int) -> Tensor:
    """Values of ``1, sqrt(2) cos k t, sqrt(2) sin k t`` at equispaced t: ``(angles, width)``."""
    count = 4 * math.ceil(_OVERSAMPLED * width / 4)
    angle = 2 * math.pi * torch.arange(count, dtype=torch.float64) / count
    columns = [torch.ones_like(angle)]
    for k in range(1, width // 2 + 1):
        columns += [math.sqrt(2) * (k * angle).cos(), math.sqrt(2) * (k * angle).sin()]
    return torch.stack(columns, dim=1)


def _pool(kind: str | None, layout: Sequence[Segment]) -> nn.Module:
    if kind not in (None, "average", "max"):
        raise ValueError(f"pool is {kind!r}; expected 'average', 'max' or None")
    if kind == "max" and not all(segment.permuted for segment in layout):
        raise ValueError("pool is 'max' on fields that turn; expected 'average'")
    if kind is None:
        return nn.Identity()
    return nn.MaxPool2d(3, 2, 1) if kind == "max" else nn.AvgPool2d(3, 2, 1)
