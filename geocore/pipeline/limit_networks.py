"""The infinitely wide networks of the study: one plan, with the group and without."""

from __future__ import annotations

import math

from geocore.groups.finite import PlanarGroup
from geocore.kernels.composed import InfiniteNetwork, serial
from geocore.kernels.convolution import Convolution
from geocore.kernels.group_layers import (
    GroupConvolution,
    GroupPool,
    LiftingConvolution,
    permutes_pixels,
)
from geocore.kernels.layers import Dense, Flatten, GlobalAveragePool, Layer, Relu
from geocore.kernels.so3_layers import RotationConvolution, RotationPool, SphericalLift
from geocore.kernels.so3_network import SphericalNetwork, so3_serial

__all__ = ["dense_network", "invariant_network", "plain_network", "spherical_network"]

_TAPS = 3
_STD = math.sqrt(2)  # keeps the variance behind a ReLU


def plain_network(depth: int) -> InfiniteNetwork:
    """``depth`` convolutions of 3 x 3 on the torus with ReLU, global average pool, read-out."""
    layers: list[Layer] = []
    for _ in range(depth):
        layers += [Convolution(_TAPS, padding="circular", weight_std=_STD), Relu()]
    return serial(*layers, GlobalAveragePool(), Dense())


def invariant_network(depth: int, n: int) -> InfiniteNetwork:
    """The same over C_n: a lift, group convolutions, and the mean over the group as well.

    Filters reach all elements where these permute pixels, else their own: the kernel is one.
    """
    group = PlanarGroup(n)
    exact = permutes_pixels(group)
    layers: list[Layer] = [
        LiftingConvolution(_TAPS, padding="circular", weight_std=_STD, group=group),
        Relu(),
    ]
    for _ in range(depth - 1):
        layers += [
            GroupConvolution(_TAPS, padding="circular", weight_std=_STD, rotation_support=exact),
            Relu(),
        ]
    return serial(*layers, GlobalAveragePool(), GroupPool(), Dense())


def dense_network(depth: int) -> InfiniteNetwork:
    """``depth`` hidden layers with ReLU on the flat input, and the read-out."""
    layers: list[Layer] = [Flatten()]
    for _ in range(depth):
        layers += [Dense(weight_std=_STD), Relu()]
    return serial(*layers, Dense())


def spherical_network(depth: int, bandlimit: int, sampling: int) -> SphericalNetwork:
    """A lift to SO(3), convolutions, ``depth`` ReLUs in all, the mean over SO(3), the read-out."""
    layers: list[Layer] = [SphericalLift(bandlimit, sampling, weight_std=_STD), Relu()]
    for _ in range(depth - 1):
        layers += [RotationConvolution(weight_std=_STD), Relu()]
    return so3_serial(*layers, RotationPool(), Dense())
