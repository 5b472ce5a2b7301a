r"""Correlations of signals on the sphere, on a grid of rotations: two products of matrices.

.. math::
    \int_{S^2} f(x)\, f'(R x)\, dx = \sum_{lmn} \overline{f'_{lm}}\, D^l_{mn}(R)\, f_{ln},
    \qquad D^l_{mn} = e^{-im\alpha} d^l_{mn}(\beta)\, e^{-in\gamma}

at ``R = R_z(alpha) R_y(beta) R_z(gamma)``. The signal f' is turned by alpha and beta first, once
for all f that it meets:

.. math::
    t_{ln}(\alpha, \beta) = \sum_m \overline{f'_{lm}}\, e^{-im\alpha} d^l_{mn}(\beta), \qquad
    \mathrm{Re} \sum_{n \ge 0} \epsilon_n e^{-in\gamma} \sum_l f_{ln} t_{ln},

with ``epsilon_0 = 1`` and else 2. The sum over l is a product of matrices for each n, that over n
one product for all: no FFT is as fast at these sizes, and the result lies as activations want it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from geocore.so3.orders import all_orders, alternating
from geocore.so3.quadrature import colatitudes, grid_sizes
from geocore.so3.wigner_tables import signed_wigner_table

__all__ = ["RotationGrid", "correlations", "factors", "rotation_grid", "turned"]


@dataclass(frozen=True)
class RotationGrid:
    """A grid of rotations with the weights of Haar measure, and what is tabulated on it.

    ``sampling`` is B: the angles alpha and gamma are ``pi k / B``, ``k < 2B``, the B colatitudes
    those of Gauss and Legendre: ``4 B^3`` rotations, ``(beta, alpha, gamma)``. Sums with the
    weights are Haar integrals for functions of degree below ``2 B``.
    """

    bandlimit: int
    sampling: int
    wigner: Tensor  # d^l_mn(beta): (n >= 0, l, beta, m), all m
    alphas: Tensor  # e^(-i m alpha): (m, alpha)
    gammas: Tensor  # cos(n gamma) and sin(n gamma) of each n >= 0: (2 n, gamma)
    weights: Tensor  # of one rotation, by beta: their sum over all is 1

    @property
    def circle(self) -> int:
        """How many alphas, and how many gammas."""
        return 2 * self.sampling

    @property
    def points(self) -> int:
        """How many rotations."""
        return self.sampling * self.circle**2


@lru_cache(maxsize=8)
def rotation_grid(
    bandlimit: int, sampling: int, dtype: torch.dtype, device: torch.device
) -> RotationGrid:
    """The grid for signals of degrees below ``bandlimit``; computed in float64.

    Raises ``ValueError`` for a ``sampling`` below it.
    """
    sampling = grid_sizes(bandlimit, sampling)
    beta, weights = colatitudes("gauss-legendre", sampling)
    every = torch.arange(1 - bandlimit, bandlimit)
    positive = every[bandlimit - 1 :]
    # The table is d^l_nm with n >= 0, and d^l_mn = (-1)^(m - n) d^l_nm.
    signs = alternating(every - positive[:, None])[:, :, None, None]
    wigner = (signed_wigner_table(bandlimit, beta) * signs).permute(0, 2, 3, 1)
    circle = math.pi / sampling * torch.arange(2 * sampling, dtype=torch.float64)
    turns, waves = every[:, None] * circle, positive[:, None] * circle
    return RotationGrid(
        bandlimit,
        sampling,
        wigner.to(device, dtype).contiguous(),
        torch.polar(torch.ones_like(turns), -turns).to(device, dtype.to_complex()),
        torch.stack([waves.cos(), waves.sin()], dim=1).flatten(0, 1).to(device, dtype),
        (weights / (2 * (2 * sampling) ** 2)).to(device, dtype),
    )


def factors(coefficients: Tensor, scale: float = 1.0) -> Tensor:
    """What ``correlations`` takes of f: ``(n >= 0, 2, batch, 2 channels l)``, real.

    ``coefficients (batch, channels, l, m)`` as ``harmonic_coefficients`` gives them; of the
    product ``scale epsilon_n f_ln t_ln`` the real and imaginary part, as rows against both of t.
    """
    f = coefficients.permute(3, 0, 1, 2).flatten(2)  # (n, batch, c l)
    counts = torch.full((len(f), 1, 1), 2 * scale, dtype=f.real.dtype, device=f.device)
    counts[0] = scale
    real, imaginary = f.real * counts, f.imag * counts
    rows = torch.cat([real, -imaginary], dim=-1), torch.cat([imaginary, real], dim=-1)
    return torch.stack(rows, dim=1)


def turned(coefficients: Tensor, grid: RotationGrid, betas: slice = slice(None)) -> Tensor:
    """What ``correlations`` takes of f': ``t_ln``, ``(n >= 0, 2 channels l, batch, rotations)``.

    ``coefficients (batch, channels, l, m)``; rotations are ``(beta, alpha)`` with the colatitudes
    ``betas`` of the grid; real parts, then imaginary parts.
    """
    wigner = grid.wigner[:, :, betas]
    f = all_orders(coefficients).conj().permute(1, 2, 0, 3).contiguous()  # (c, l, batch, m)
    terms = f[:, :, :, None] * wigner[:, None, :, None]  # (n, c, l, batch, beta, m)
    n, channels, degrees, batch, betas_, orders = terms.shape
    found = terms.reshape(-1, orders) @ grid.alphas
    found = found.view(n, channels * degrees, batch, betas_ * grid.circle)
    return torch.cat([found.real, found.imag], dim=1)


def correlations(left: Tensor, right: Tensor, grid: RotationGrid) -> Tensor:
    """``scale sum_c int f_c(x) f'_c(R x) dx``: ``(batch, batch', rotations, gamma)``.

    ``left`` is of ``factors``, ``(n, 2, batch, k)``, ``right`` of ``turned``, ``(n, k, batch',
    rotations)``; rotations are those of ``right``, ``(beta, alpha)``.
    """
    n, parts, rows, inner = left.shape
    columns, rotations = right.shape[2:]
    # (n, 2 batch, k) (n, k, batch' rotations): real and imaginary part of each n, row by row.
    sums = torch.bmm(left.reshape(n, parts * rows, inner), right.reshape(n, inner, -1))
    samples = sums.view(n * parts, -1).mT @ grid.gammas
    return samples.view(rows, columns, rotations, grid.circle)
