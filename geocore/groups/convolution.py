"""Group convolutions on the plane, as the papers write them: readable references.

Filters are moved by every element of the group and each is correlated with the signal. For C_4, D_4
and their subgroups that is exact; for others filters are interpolated (``planar_action.moved``),
and signals are pixels, so that the law holds as far as the interpolation does.

Source: Cohen and Welling, Group equivariant convolutional networks, 2016; the survey 2105.13926.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocore.groups.finite import PlanarGroup
from geocore.groups.planar_action import moved

__all__ = ["GroupConvolution", "GroupPool", "LiftingConvolution"]


class _Filtered(nn.Module):
    """Weights ``(out, in, *more, k, k)`` of one filter, which the group moves, and a bias."""

    def __init__(
        self,
        group: PlanarGroup,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        _check(in_channels, out_channels, kernel_size)
        self.group, self.in_channels = group, in_channels
        shape = (out_channels, *self.axes(), kernel_size, kernel_size)
        drawn = torch.randn(shape, generator=generator)
        self.weight = nn.Parameter(drawn * math.sqrt(2 / math.prod(shape[1:])))
        self.bias = nn.Parameter(torch.zeros(out_channels))

    @abstractmethod
    def axes(self) -> tuple[int, ...]:
        """Axes of the input between batch and place."""

    @abstractmethod
    def filters(self) -> Tensor:
        """The filter moved by each element, ``(out, order, *axes, k, k)``."""

    def forward(self, x: Tensor) -> Tensor:
        axes = self.axes()
        if x.ndim != len(axes) + 3 or tuple(x.shape[1:-2]) != axes:
            wanted = ", ".join(map(str, axes))
            raise ValueError(
                f"x has shape {tuple(x.shape)}; expected (batch, {wanted}, size, size)"
            )
        filters = self.filters().flatten(0, 1).flatten(1, -3)
        bias = self.bias.repeat_interleave(self.group.order)
        found = F.conv2d(x.flatten(1, -3), filters, bias, padding=filters.shape[-1] // 2)
        by_element: Tensor = found.unflatten(1, (-1, self.group.order))
        return by_element


class LiftingConvolution(_Filtered):
    """``h(g, p) = sum_q f(q) psi(g^-1 (q - p)) + bias``: images to functions of group and place.

    ``(batch, in, size, size)`` -> ``(batch, out, order, size, size)``; ``lift(g f) = g lift(f)``.
    Zero padding keeps the size: kernels are odd. Weights are normal with variance ``2 / fan in``,
    from ``generator``.
    """

    def axes(self) -> tuple[int, ...]:
        return (self.in_channels,)

    def filters(self) -> Tensor:
        """The filter moved by each element, ``(out, order, in, k, k)``."""
        return torch.stack([moved(self.group, g, self.weight) for g in self.group], dim=1)


class GroupConvolution(_Filtered):
    """``h(g, p) = sum_{u,q} f(u, q) psi(g^-1 u, g^-1 (q - p)) + bias``, over group and place.

    ``(batch, in, order, size, size)`` -> ``(batch, out, order, size, size)``; it commutes with the
    group's action ``OnGroupMaps``. Padding and weights as those of ``LiftingConvolution``.
    """

    def axes(self) -> tuple[int, ...]:
        return (self.in_channels, self.group.order)

    def filters(self) -> Tensor:
        """The filter moved by each element, ``(out, order, in, order, k, k)``."""
        each = []
        for g in self.group:
            shifted = self.group.shifted(g).to(self.weight.device)
            each.append(moved(self.group, g, self.weight.index_select(2, shifted)))
        return torch.stack(each, dim=1)


class GroupPool(nn.Module):
    """``max_g`` or ``mean_g`` of ``f(g, p)``: the group's axis, the third from the last, goes.

    What comes moves with the image alone: ``pool(g f) = g pool(f)`` as images.
    """

    def __init__(self, kind: str = "max") -> None:
        super().__init__()
        if kind not in ("max", "mean"):
            raise ValueError(f"kind is {kind!r}; expected 'max' or 'mean'")
        self.kind = kind

    def forward(self, x: Tensor) -> Tensor:
        return x.amax(dim=-3) if self.kind == "max" else x.mean(dim=-3)


def _check(in_channels: int, out_channels: int, kernel_size: int) -> None:
    if min(in_channels, out_channels) < 1:
        raise ValueError(f"channels are {in_channels} and {out_channels}; expected at least 1")
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError(f"kernel_size is {kernel_size}; expected an odd number")
