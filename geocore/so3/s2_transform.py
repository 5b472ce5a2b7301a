"""The Fourier transform of functions on the sphere, from a grid of samples and back."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from geocore.so3.quadrature import colatitudes
from geocore.so3.transform import Transform
from geocore.so3.wigner_tables import harmonic_table

__all__ = ["S2Transform"]


class S2Transform(Transform):
    r"""``f(v) = sum_lm f_lm Y_lm(v)`` for degrees ``l < bandlimit``: samples <-> coefficients.

    .. math:: f_{lm} = \int_{S^2} f\, \bar Y_{lm}\, dv

    with orthonormal harmonics in the Condon-Shortley phase, exactly for band-limited ``f``. A
    rotation acts by ``(R f)_l = D^l(R) f_l``.

    Samples are ``(..., beta, alpha)``: on ``driscoll-healy`` ``2B x 2B``, on ``gauss-legendre``
    ``B x 2B``, where ``B`` is ``sampling``, by default ``bandlimit``; a larger one is a finer grid
    for the same coefficients. ``alpha_k = pi k / B``. Coefficients are padded with zeros to
    ``(..., bandlimit, bandlimit)``, index ``[l, m]`` with ``m >= 0``, where signals are ``real``,
    and to ``(..., bandlimit, 2 bandlimit - 1)``, index ``[l, m + bandlimit - 1]``, otherwise.

    Raises ``ValueError`` for a bandlimit that does not fit the grid and for other shapes.

    Source: Driscoll and Healy, Computing Fourier transforms and convolutions on the 2-sphere, 1994.
    """

    axes = 1
    table: Tensor
    weights: Tensor

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
        harmonics = harmonic_table(bandlimit, beta)  # (m, l, j)
        self.register_buffer("table", harmonics.to(dtype), persistent=False)
        self.register_buffer("weights", (2 * math.pi * weights).to(dtype), persistent=False)
        self.grid_shape = (len(beta), 2 * self.sampling)
        orders = bandlimit if real else 2 * bandlimit - 1
        self.coefficient_shape = (bandlimit, orders)

    def _analyse(self, samples: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(samples, norm="forward")[..., : self.bandlimit]  # (..., j, m)
        spectrum = spectrum * self.weights[:, None]
        return self._product("mlj,...jmz->...lmz", spectrum)

    def _synthesise(self, coefficients: Tensor) -> Tensor:
        spectrum = self._product("mlj,...lmz->...jmz", coefficients)
        samples: Tensor = torch.fft.irfft(spectrum, n=2 * self.sampling, norm="forward")
        return samples

    def _product(self, law: str, values: Tensor) -> Tensor:
        """The table's sum over real and imaginary parts, one matrix an order."""
        product = torch.einsum(law, self.table, torch.view_as_real(values.resolve_conj()))
        return torch.view_as_complex(product.contiguous())
