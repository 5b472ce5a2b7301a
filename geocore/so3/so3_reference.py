"""The Fourier transform on SO(3) as its definition reads: slow, for comparison."""

from __future__ import annotations

import torch
from torch import Tensor

from geocore.so3.haar import haar_quadrature
from geocore.so3.quadrature import grid_sizes
from geocore.so3.transform import check_signal
from geocore.so3.wigner import wigner_D

__all__ = ["so3_analysis", "so3_synthesis"]


def so3_analysis(
    samples: Tensor, bandlimit: int, grid: str = "driscoll-healy", sampling: int | None = None
) -> Tensor:
    r"""``f^l_mn = sum_jkh w_j f(R_jkh) conj(D^l_mn(R_jkh))``, over all points of the grid.

    The weights make the sum the Haar integral of mass one. Complex samples ``(..., beta, alpha,
    gamma)`` -> ``(..., b, 2b - 1, 2b - 1)``, as of ``SO3Transform(real=False)``. ``O(b^6)`` a
    signal. Raises ``ValueError`` for a shape other than that of the grid, ``TypeError`` for samples
    that are not complex.
    """
    alpha, beta, gamma, weights = _points(bandlimit, grid, sampling)
    check_signal("samples", samples, tuple(beta.shape), complex_valued=True)
    found = samples.new_zeros(*samples.shape[:-3], bandlimit, 2 * bandlimit - 1, 2 * bandlimit - 1)
    for l in range(bandlimit):
        matrices = wigner_D(l, alpha, beta, gamma).conj() * weights[..., None, None]
        span = slice(bandlimit - 1 - l, bandlimit + l)
        found[..., l, span, span] = torch.einsum("jkhmn,...jkh->...mn", matrices, samples)
    return found


def so3_synthesis(
    coefficients: Tensor, grid: str = "driscoll-healy", sampling: int | None = None
) -> Tensor:
    r"""``f(R) = sum_l (2l+1) sum_mn f^l_mn D^l_mn(R)`` at every point of the grid.

    ``(..., b, 2b - 1, 2b - 1)`` -> complex samples ``(..., beta, alpha, gamma)``. Raises as
    ``so3_analysis`` does.
    """
    bandlimit = coefficients.shape[-3] if coefficients.ndim >= 3 else 1
    shape = (bandlimit, 2 * bandlimit - 1, 2 * bandlimit - 1)
    check_signal("coefficients", coefficients, shape, complex_valued=True)
    alpha, beta, gamma, _ = _points(bandlimit, grid, sampling)
    values = coefficients.new_zeros(*coefficients.shape[:-3], *beta.shape)
    for l in range(bandlimit):
        span = slice(bandlimit - 1 - l, bandlimit + l)
        matrices = (2 * l + 1) * wigner_D(l, alpha, beta, gamma)
        own = coefficients[..., l, span, span]
        values = values + torch.einsum("jkhmn,...mn->...jkh", matrices, own)
    return values


def _points(
    bandlimit: int, grid: str, sampling: int | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Euler angles and weights of all points, each of the grid's shape."""
    size = grid_sizes(bandlimit, sampling)
    alpha, beta, gamma, weights = (
        part.reshape(-1, 2 * size, 2 * size) for part in haar_quadrature(size, grid)
    )
    return alpha, beta, gamma, weights
