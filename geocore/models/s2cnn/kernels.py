"""Kernels with local support: their grids near the identity, and their Fourier coefficients.

A kernel is a sum of point masses, one learned value ``w`` at each point of a grid. The points are
``R(alpha_p, beta_j, gamma_p)``: every ring ``beta_j`` carries the same pairs of angles, so the sum
over points is one Fourier sum over the pairs and one over the rings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from geocore.so3.wigner_tables import harmonic_table, signed_wigner_table

__all__ = [
    "KernelGrid",
    "S2Spectrum",
    "SO3Spectrum",
    "s2_kernel_grid",
    "so3_kernel_grid",
]


@dataclass(frozen=True)
class KernelGrid:
    """The points ``R(alphas[p], betas[j], gammas[p])``, ring by ring: radians.

    On the sphere ``gammas`` is empty, and a point is at colatitude ``beta``, longitude ``alpha``.
    """

    betas: tuple[float, ...]
    alphas: tuple[float, ...]
    gammas: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.betas or not self.alphas:
            raise ValueError("betas or alphas is empty; expected at least one angle each")
        if self.gammas and len(self.gammas) != len(self.alphas):
            found = f"{len(self.gammas)} entries for {len(self.alphas)} alphas"
            raise ValueError(f"gammas has {found}; expected none or as many")

    @property
    def points(self) -> int:
        return len(self.betas) * len(self.alphas)


def s2_kernel_grid(max_beta: float = math.pi / 8, alphas: int = 8, betas: int = 3) -> KernelGrid:
    """Rings about the north pole: ``beta_j = max_beta (j + 1) / betas``, ``alpha_k = 2 pi k / K``.

    Radians, ``0 < max_beta <= pi``. That is the published grid (Cohen et al., Spherical CNNs,
    1801.10130).
    """
    _check_counts(max_beta, alphas=alphas, betas=betas)
    return KernelGrid(_rings(max_beta, betas), _circle(alphas))


def so3_kernel_grid(
    max_beta: float = math.pi / 8,
    alphas: int = 8,
    betas: int = 3,
    gammas: int = 8,
    *,
    grid: Literal["distinct", "published"] = "distinct",
    max_gamma: float = math.pi,
) -> KernelGrid:
    """Rotations ``R_z(a) R_y(beta_j) R_z(c - a)``: tilts by ``beta_j`` towards ``a``, turns ``c``.

    ``beta_j`` and ``a`` are those of ``s2_kernel_grid``. The turns ``c`` lie in
    ``[-max_gamma, max_gamma]``, both ends included; the full circle (``max_gamma = pi``) starts at
    ``-pi`` and leaves out ``pi``, which is the same turn. So all points are distinct.

    ``grid="published"`` is the grid of Cohen et al.'s code and of 2202.03990: ``c`` runs from
    ``-2 pi`` to ``2 pi`` with both ends, which are the same turn, so that of 8 turns 7 are
    distinct, and an eighth of the parameters are duplicates.
    """
    _check_counts(max_beta, alphas=alphas, betas=betas, gammas=gammas)
    if grid not in ("distinct", "published"):
        raise ValueError(f"grid is {grid!r}; expected 'distinct' or 'published'")
    if not 0 < max_gamma <= math.pi:
        raise ValueError(f"max_gamma is {max_gamma}; expected 0 < max_gamma <= pi")
    if grid == "published":
        turns = torch.linspace(-2 * math.pi, 2 * math.pi, gammas, dtype=torch.float64).tolist()
    elif gammas == 1:
        turns = [0.0]
    else:
        full = math.isclose(max_gamma, math.pi)
        step = 2 * max_gamma / (gammas if full else gammas - 1)
        turns = [step * k - max_gamma for k in range(gammas)]
    pairs = [(a, turn - a) for a in _circle(alphas) for turn in turns]
    return KernelGrid(
        _rings(max_beta, betas), tuple(a for a, _ in pairs), tuple(c for _, c in pairs)
    )


class S2Spectrum(nn.Module):
    """``psi_ln = sum_p w_p conj Y_ln(x_p)``: the coefficients of ``sum_p w_p delta(x, x_p)``.

    Real values ``(..., points)`` -> complex ``(..., b, b)``, ``[l, n >= 0]``.
    """

    def __init__(
        self, grid: KernelGrid, bandlimit: int, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        if grid.gammas:
            raise ValueError("grid has gammas; expected a grid on the sphere (s2_kernel_grid)")
        self.grid = grid
        orders = torch.arange(bandlimit, dtype=torch.float64)
        angle = torch.tensor(grid.alphas, dtype=torch.float64)[:, None] * orders
        beta = torch.tensor(grid.betas, dtype=torch.float64)
        _table(self, "cosines", angle.cos(), dtype)
        _table(self, "sines", angle.sin(), dtype)
        _table(
            self, "rings", harmonic_table(bandlimit, beta).permute(2, 1, 0), dtype
        )  # (ring, l, n)

    cosines: Tensor
    sines: Tensor
    rings: Tensor

    def forward(self, values: Tensor) -> Tensor:
        by_ring = values.unflatten(-1, (len(self.grid.betas), -1))
        sums = [torch.einsum("...jp,pn,jln->...ln", by_ring, part, self.rings)
                for part in (self.cosines, self.sines)]  # fmt: skip
        return torch.complex(sums[0], -sums[1])


class SO3Spectrum(nn.Module):
    """``psi^l_kn = sum_p w_p conj D^l_kn(R_p)``: the coefficients of ``sum_p w_p delta(R, R_p)``.

    Real values ``(out, in, points)`` -> complex ``(b, k >= 0, 2b - 1, out, in)``, indices
    ``[l, k, n + b - 1]``. The rest is ``psi^l_-k,-n = (-1)^(k-n) conj psi^l_kn``. With ``rows=1``
    only ``k = 0`` is computed.
    """

    def __init__(
        self,
        grid: KernelGrid,
        bandlimit: int,
        dtype: torch.dtype = torch.float32,
        rows: int | None = None,
    ) -> None:
        super().__init__()
        if not grid.gammas:
            raise ValueError("grid has no gammas; expected a grid on SO(3) (so3_kernel_grid)")
        self.grid, self.bandlimit = grid, bandlimit
        self.rows = bandlimit if rows is None else rows
        alpha, gamma = (
            torch.tensor(angles, dtype=torch.float64) for angles in (grid.alphas, grid.gammas)
        )
        k = torch.arange(self.rows, dtype=torch.float64)
        n = torch.arange(1 - bandlimit, bandlimit, dtype=torch.float64)
        angle = alpha[:, None, None] * k[:, None] + gamma[:, None, None] * n
        # One real product gives both parts: (pair, k n re/im).
        phases = torch.stack([angle.cos(), angle.sin()], dim=-1).flatten(1)
        beta = torch.tensor(grid.betas, dtype=torch.float64)
        small = signed_wigner_table(bandlimit, beta)[: self.rows]
        _table(self, "phases", phases, dtype)
        _table(self, "rings", small.flatten(0, 1), dtype)  # (k n, l, ring)

    phases: Tensor
    rings: Tensor

    def forward(self, values: Tensor) -> Tensor:
        out, into = values.shape[:2]
        by_ring = values.unflatten(-1, (len(self.grid.betas), -1))
        orders = (self.rows, 2 * self.bandlimit - 1)
        sums = (by_ring @ self.phases).reshape(out * into, -1, orders[0] * orders[1], 2)
        summed = self.rings @ sums.permute(2, 1, 0, 3).flatten(2)  # (k n, l, out in re/im)
        summed = summed.reshape(*orders, self.bandlimit, out, into, 2)
        return torch.view_as_complex(summed).permute(2, 0, 1, 3, 4)


def _table(module: nn.Module, name: str, values: Tensor, dtype: torch.dtype) -> None:
    module.register_buffer(name, values.to(dtype).contiguous(), persistent=False)


def _rings(max_beta: float, betas: int) -> tuple[float, ...]:
    return tuple(max_beta * (j + 1) / betas for j in range(betas))


def _circle(count: int) -> tuple[float, ...]:
    return tuple(2 * math.pi * k / count for k in range(count))


def _check_counts(max_beta: float, **counts: int) -> None:
    if not 0 < max_beta <= math.pi:
        raise ValueError(f"max_beta is {max_beta}; expected 0 < max_beta <= pi")
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} is {count}; expected a positive integer")
