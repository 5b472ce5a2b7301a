"""Random signals, and rotations of their coefficients by matrix exponentials: slow and plain."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Angles = tuple[float, float, float]


def wigner(degree: int, alpha: float, beta: float, gamma: float) -> Tensor:
    """``D^l = exp(-i alpha J_z) exp(-i beta J_y) exp(-i gamma J_z)``."""
    m = torch.arange(-degree, degree + 1, dtype=torch.float64)
    raising = torch.diag(((degree - m[:-1]) * (degree + m[:-1] + 1)).sqrt(), -1)
    turn = torch.matrix_exp(-beta * (raising - raising.mT) / 2)
    left: Tensor = torch.exp(-1j * alpha * m)
    right: Tensor = torch.exp(-1j * gamma * m)
    found: Tensor = torch.einsum("m,mn,n->mn", left, turn.to(left.dtype), right)
    return found


def rotation_angles(count: int, seed: int = 0) -> list[Angles]:
    """Euler angles of Haar-random rotations."""
    draws = torch.rand(count, 3, generator=torch.Generator().manual_seed(seed)).double()
    return [
        (2 * math.pi * float(a), math.acos(1 - 2 * float(b)), 2 * math.pi * float(c))
        for a, b, c in draws
    ]


def all_orders(half: Tensor, so3: bool) -> Tensor:
    """``m >= 0`` -> all orders of a real signal: ``(..., b, b, :)`` -> ``(..., b, 2b - 1, :)``."""
    if not so3:
        return all_orders(half[..., None], True)[..., 0]
    bandlimit, orders = half.shape[-3], half.shape[-1] // 2
    m, n = torch.arange(bandlimit), torch.arange(-orders, orders + 1)
    signs = 1.0 - 2 * ((m[:, None] - n) % 2)
    below = (half.conj() * signs).flip(-1)[..., 1:, :].flip(-2)
    return torch.cat([below, half], dim=-2)


def signal_s2(*shape: int, bandlimit: int, seed: int = 0) -> Tensor:
    """White noise of full band and mean square 1: ``(*shape, b, b)``, complex128."""
    generator = torch.Generator().manual_seed(seed)
    half = torch.randn(*shape, bandlimit, bandlimit, dtype=torch.complex128, generator=generator)
    half[..., 0] = half[..., 0].real * 2**0.5
    scaled: Tensor = half.tril() * (4 * math.pi) ** 0.5 / bandlimit
    return scaled


def signal_so3(*shape: int, bandlimit: int, seed: int = 0) -> Tensor:
    """White noise of full band and mean square 1: ``(*shape, b, b, 2b - 1)``, complex128."""
    generator = torch.Generator().manual_seed(seed)
    size = (*shape, bandlimit, bandlimit, 2 * bandlimit - 1)
    half = torch.randn(size, dtype=torch.complex128, generator=generator)
    n = torch.arange(1 - bandlimit, bandlimit)
    signs = 1.0 - 2 * (n % 2)
    # f_0,-n = (-1)^n conj f_0n
    row = half[..., 0, :]
    half[..., 0, :] = (row + (row.conj() * signs).flip(-1)) / 2**0.5
    degree = torch.arange(bandlimit)[:, None, None]
    inside = (torch.arange(bandlimit)[:, None] <= degree) & (n.abs() <= degree)
    count = bandlimit * (4 * bandlimit**2 - 1) / 3
    return half * inside / ((2 * degree + 1) * count) ** 0.5


@dataclass(frozen=True)
class Rotations:
    """Haar-random rotations, acting on coefficients of signals on the sphere or on SO(3)."""

    domain: Literal["s2", "so3"]
    count: int = 20
    seed: int = 0

    def __iter__(self) -> Iterator[Angles]:
        return iter(rotation_angles(self.count, self.seed))

    def act(self, element: Angles, x: Tensor) -> Tensor:
        """``D^l f_l`` on the sphere, ``conj(D^l) f^l`` on SO(3)."""
        so3 = self.domain == "so3"
        full = all_orders(x, so3) if so3 else all_orders(x, so3)[..., None]
        bandlimit = full.shape[-3]
        turned = torch.zeros_like(full)
        for degree in range(bandlimit):
            matrix = wigner(degree, *element).to(x.dtype)
            inside = slice(bandlimit - 1 - degree, bandlimit + degree)
            block = (matrix.conj() if so3 else matrix) @ full[..., degree, inside, :]
            turned[..., degree, inside, :] = block
        half = turned[..., bandlimit - 1 :, :]
        return half if so3 else half[..., 0]


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Of coefficients, by the norm over all degrees and orders."""
    return float((found - expected).norm().detach() / expected.norm().detach())


def value_so3(half: Tensor, *angles: Angles) -> Tensor:
    """``f(Q) = sum_l (2l + 1) sum_mn f^l_mn D^l_mn(Q)`` at the product ``Q`` of the rotations."""
    full, bandlimit = all_orders(half, True), half.shape[-2]
    total = torch.zeros(half.shape[:-3], dtype=half.dtype)
    for degree in range(bandlimit):
        inside = slice(bandlimit - 1 - degree, bandlimit + degree)
        block = full[..., degree, inside, inside]
        total += (2 * degree + 1) * (block * _product(degree, angles)).sum((-2, -1))
    return total


def value_s2(half: Tensor, *angles: Angles) -> Tensor:
    """``f(Q e_z) = sum_lm f_lm Y_lm``, where ``Y_lm = sqrt((2l + 1) / 4 pi) conj D^l_m0(Q)``."""
    full, bandlimit = all_orders(half, False), half.shape[-1]
    total = torch.zeros(half.shape[:-2], dtype=half.dtype)
    for degree in range(bandlimit):
        inside = slice(bandlimit - 1 - degree, bandlimit + degree)
        harmonic = (
            _product(degree, angles)[:, degree].conj() * ((2 * degree + 1) / 4 / math.pi) ** 0.5
        )
        total += (full[..., degree, inside] * harmonic).sum(-1)
    return total


def _product(degree: int, angles: tuple[Angles, ...]) -> Tensor:
    found = torch.eye(2 * degree + 1, dtype=torch.complex128)
    for one in angles:
        found = found @ wigner(degree, *one)
    return found
