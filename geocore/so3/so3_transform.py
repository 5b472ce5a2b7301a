"""The Fourier transform of functions on SO(3), from a grid of samples and back."""

from __future__ import annotations

import torch
from torch import Tensor

from geocore.so3.quadrature import colatitudes
from geocore.so3.so3_sums import analysis, synthesis
from geocore.so3.transform import Transform
from geocore.so3.wigner_tables import wigner_table

__all__ = ["SO3Transform"]


class SO3Transform(Transform):
    r"""``f(R) = sum_l (2l+1) sum_mn f^l_mn D^l_mn(R)``, ``l < bandlimit``: samples and back.

    .. math:: f^l_{mn} = \int_{SO(3)} f(R)\, \bar D^l_{mn}(R)\, dR

    with Haar measure of total mass one and ``D^l_mn = e^{-i m alpha} d^l_mn(beta) e^{-i n gamma}``,
    exactly for band-limited ``f``. Rotating, ``(Q f)(R) = f(Q^-1 R)``, acts on the first order:
    ``(Q f)^l = conj(D^l(Q)) f^l``.

    Samples are ``(..., beta, alpha, gamma)``: on ``driscoll-healy`` ``2B x 2B x 2B``, on
    ``gauss-legendre`` ``B x 2B x 2B``, where ``B`` is ``sampling``, by default ``bandlimit``; a
    larger one is a finer grid for the same coefficients. Coefficients are padded with zeros to
    ``(..., b, b, 2b - 1)``, index ``[l, m, n + b - 1]`` with ``m >= 0``, where signals are
    ``real``, so that ``f^l_{-m,-n} = (-1)^{m-n} conj f^l_mn``, and to ``(..., b, 2b-1, 2b-1)``,
    index ``[l, m + b - 1, n + b - 1]``, otherwise.

    A real FFT over the two angles, then one batched product with the table of ``m, n >= 0``
    (``geocore.so3.so3_sums``). ``O(b^4)`` a signal.

    Raises ``ValueError`` for a bandlimit that does not fit the grid and for other shapes.

    Source: Kostelec and Rockmore, FFTs on the rotation group, 2008.
    """

    axes = 2
    table: Tensor
    weights: Tensor
    dimensions: Tensor

    def __init__(
        self,
        bandlimit: int,
        grid: str = "driscoll-healy",
        *,
        sampling: int | None = None,
        real: bool = True,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__(bandlimit, grid, sampling, real)
        beta, weights = colatitudes(grid, self.sampling)
        table = wigner_table(bandlimit, beta).flatten(0, 1)  # (m n, l, j)
        self.register_buffer("table", table.to(dtype), persistent=False)
        # The Haar measure of a sample: dR = d alpha sin(beta) d beta d gamma / (8 pi^2).
        weights = weights / (2 * (2 * self.sampling) ** 2)
        self.register_buffer("weights", weights.to(dtype), persistent=False)
        dimensions = 2 * torch.arange(bandlimit, dtype=dtype)[:, None] + 1
        self.register_buffer("dimensions", dimensions, persistent=False)
        self.grid_shape = (len(beta), 2 * self.sampling, 2 * self.sampling)
        columns = 2 * bandlimit - 1
        self.coefficient_shape = (bandlimit, bandlimit if real else columns, columns)

    def _analyse(self, samples: Tensor) -> Tensor:
        """Real samples -> coefficients of ``m >= 0``."""
        flat = samples.reshape(-1, *self.grid_shape)
        found = analysis(flat, self.table * self.weights)
        return found.reshape(*samples.shape[:-3], *found.shape[1:])

    def _synthesise(self, coefficients: Tensor) -> Tensor:
        """Coefficients of ``m >= 0`` -> real samples."""
        flat = coefficients.reshape(-1, *coefficients.shape[-3:])
        found = synthesis(flat, self.table * self.dimensions, 2 * self.sampling)
        return found.reshape(*coefficients.shape[:-3], *self.grid_shape)
