"""Random coefficients and rotations that the tests of this folder share."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from geocore.so3.rotation import euler_zyz_to_matrix


def angles(count: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Euler angles, the outer two over all of their range."""
    drawn = torch.rand(3, count, generator=_generator(seed), dtype=torch.float64)
    alpha, beta, gamma = drawn * torch.tensor([[2.0], [1.0], [2.0]], dtype=drawn.dtype) * math.pi
    return alpha, beta, gamma


def rotations(count: int, seed: int = 0) -> Tensor:
    return euler_zyz_to_matrix(*angles(count, seed))


def s2_coefficients(bandlimit: int, real: bool, count: int = 2) -> Tensor:
    drawn = _drawn(count, bandlimit, 2 * bandlimit - 1)
    degrees, orders = torch.arange(bandlimit)[:, None], torch.arange(1 - bandlimit, bandlimit)
    drawn = drawn * (orders.abs() <= degrees)
    if not real:
        return drawn
    half = drawn[..., bandlimit - 1 :].clone()
    half[..., 0] = half[..., 0].real.to(half.dtype)
    return half


def so3_coefficients(bandlimit: int, real: bool, count: int = 2) -> Tensor:
    drawn = _drawn(count, bandlimit, 2 * bandlimit - 1, 2 * bandlimit - 1)
    degrees = torch.arange(bandlimit)[:, None, None]
    orders = torch.arange(1 - bandlimit, bandlimit)
    drawn = drawn * (orders[:, None].abs() <= degrees) * (orders.abs() <= degrees)
    if not real:
        return drawn
    signs = 1 - 2 * ((orders[:, None] - orders) % 2)
    symmetric = (drawn + drawn.flip(-1, -2).conj() * signs) / 2
    return symmetric[:, :, bandlimit - 1 :]


def _drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=_generator(0), dtype=torch.complex128)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
