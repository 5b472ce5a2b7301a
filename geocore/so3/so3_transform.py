"""The Fourier transform of functions on SO(3), from a grid of samples and back."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from geocore.so3.quadrature import colatitudes, grid_sizes
from geocore.so3.s2_transform import check_signal
from geocore.so3.so3_sums import analysis, synthesis
from geocore.so3.wigner_tables import wigner_table

__all__ = ["SO3Transform"]


class SO3Transform(nn.Module):
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
        super().__init__()
        self.bandlimit, self.grid, self.real = bandlimit, grid, real
        self.sampling = grid_sizes(bandlimit, sampling)
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

    def forward(self, samples: Tensor) -> Tensor:
        """Samples ``(..., beta, alpha, gamma)`` -> coefficients ``(..., l, m, n)``."""
        check_signal("samples", samples, self.grid_shape, complex_valued=not self.real)
        if self.real:
            return self._analyse(samples)
        parts = self._analyse(torch.stack([samples.real, samples.imag]))
        full = _with_negative_orders(parts)
        return full[0] + 1j * full[1]

    def inverse(self, coefficients: Tensor) -> Tensor:
        """Coefficients ``(..., l, m, n)`` -> samples ``(..., beta, alpha, gamma)``.

        Of a real signal's coefficients with ``m = 0`` the part that breaks its symmetry has no
        meaning and is passed over.
        """
        check_signal("coefficients", coefficients, self.coefficient_shape, complex_valued=True)
        if self.real:
            return self._synthesise(coefficients)
        # The coefficients of a function's conjugate; half the sum is its real part's.
        mirrored = coefficients.flip(-1, -2).conj() * _parities(self.bandlimit, coefficients)
        real, imaginary = (coefficients + mirrored) / 2, (coefficients - mirrored) / 2j
        halves = torch.stack([real, imaginary])[..., self.bandlimit - 1 :, :]
        signals = self._synthesise(halves)
        return torch.complex(signals[0], signals[1])

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


def _with_negative_orders(half: Tensor) -> Tensor:
    """``f^l_{-m,-n} = (-1)^{m-n} conj f^l_mn`` of real signals: ``m >= 0`` -> all orders."""
    bandlimit = half.shape[-2]
    mirrored = half[..., 1:, :].flip(-1, -2).conj()
    negative = mirrored * _parities(bandlimit, half)[: bandlimit - 1]
    return torch.cat([negative, half], dim=-2)


def _parities(bandlimit: int, like: Tensor) -> Tensor:
    """``(-1)^(m - n)`` for ``m, n = 1 - b .. b - 1``."""
    orders = torch.arange(1 - bandlimit, bandlimit, device=like.device)
    return (1 - 2 * ((orders[:, None] - orders) % 2)).to(like.real.dtype)
