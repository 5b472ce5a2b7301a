"""Detectors on group convolutions, and the plain one, which is that of the group of one element."""

from __future__ import annotations

import math

import torch
from torch import nn

from geocore.groups.convolution import GroupConvolution, LiftingConvolution
from geocore.groups.finite import PlanarGroup
from geocore.models.detection import Detector, HeadLayout, RegularHead

__all__ = ["equal_width", "regular_detector"]


def regular_detector(
    group: PlanarGroup,
    layout: HeadLayout,
    channels: int,
    layers: int = 3,
    kernel_size: int = 5,
    generator: torch.Generator | None = None,
) -> Detector:
    """``detector(g f) = g detector(f)`` for ``group``: a lifting, group convolutions, a head.

    ``layers`` convolutions with ReLU, ``channels`` functions of the group each; images ``(batch, 1,
    size, size)``, predictions at every pixel. For ``PlanarGroup(1)`` these are the convolutions of
    a plain CNN. Raises ``ValueError`` for fewer than one layer.
    """
    if layers < 1:
        raise ValueError(f"layers is {layers}; expected at least 1")
    each: list[nn.Module] = [LiftingConvolution(group, 1, channels, kernel_size, generator)]
    for _ in range(layers - 1):
        convolution = GroupConvolution(group, channels, channels, kernel_size, generator)
        each += [nn.ReLU(), convolution]
    head = RegularHead(group, channels, layout, generator)
    return Detector(nn.Sequential(*each, nn.ReLU()), head)


def equal_width(group: PlanarGroup, channels: int) -> int:
    """``round(channels sqrt(order))``: channels of the plain network with as many weights.

    A filter has ``order`` numbers a pair of channels, so that numbers go as ``channels^2 order``.
    """
    return round(channels * math.sqrt(group.order))
