"""The Fourier transform of functions on SO(3), from a grid of samples and back."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from geocore.so3.quadrature import colatitudes, grid_sizes
from geocore.so3.s2_transform import check_signal
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

    A real FFT over the two angles, then one batched product with the table of ``m, n >= 0``: on a
    grid that is symmetric about the equator the negative ``n`` are the same product with the
    colatitudes reversed. ``O(b^4)`` a signal.

    Raises ``ValueError`` for a bandlimit that does not fit the grid and for other shapes.

    Source: Kostelec and Rockmore, FFTs on the rotation group, 2008.
    """

    table: Tensor
    weights: Tensor
    signs: Tensor

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
        self.register_buffer("weights", (weights / 2).to(dtype), persistent=False)
        orders = torch.arange(bandlimit)
        signs = 1 - 2 * ((orders[:, None] + orders) % 2)  # (-1)^(l + m), the same both ways
        self.register_buffer("signs", signs.to(dtype), persistent=False)
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
        b, leading = self.bandlimit, samples.shape[:-3]
        flat = samples.reshape(-1, *self.grid_shape)
        spectrum = torch.fft.rfft2(flat, dim=(-1, -2), norm="forward")[:, :, :b]
        # The FFT's kernel is D's, not its conjugate: the imaginary part changes its sign.
        parts = torch.view_as_real(spectrum) * self.weights[:, None, None, None]
        parts = parts * parts.new_tensor([1.0, -1.0])
        upper = parts[:, :, :, :b]
        # Index 0 repeats n = 0, so that both halves are alike; it is dropped below.
        lower = torch.cat([parts[:, :, :, :1], parts[:, :, :, 1 - b :].flip(3)], dim=3)[:, :, :, :b]
        both = torch.stack([upper, lower.flip(1)], dim=-1)  # (c, j, m, n, z, side)
        columns = both.permute(2, 3, 1, 0, 4, 5).reshape(b * b, len(self.weights), -1)
        found = torch.bmm(self.table, columns).reshape(b, b, b, -1, 2, 2)  # (m, n, l, c, z, side)
        found = found.permute(5, 3, 2, 0, 1, 4)  # (side, c, l, m, n, z)
        negative = found[1] * self.signs[:, :, None, None]
        joined = torch.cat([negative[..., 1:, :].flip(-2), found[0]], dim=-2)
        return torch.view_as_complex(joined.contiguous()).reshape(*leading, b, b, 2 * b - 1)

    def _synthesise(self, coefficients: Tensor) -> Tensor:
        """Coefficients of ``m >= 0`` -> real samples."""
        b, size, leading = self.bandlimit, 2 * self.sampling, coefficients.shape[:-3]
        flat = torch.view_as_real(coefficients.resolve_conj().reshape(-1, b, b, 2 * b - 1))
        degrees = torch.arange(b, device=flat.device, dtype=flat.dtype)
        flat = flat * (2 * degrees + 1)[:, None, None, None]
        upper = flat[:, :, :, b - 1 :]
        lower = flat[:, :, :, :b].flip(3) * self.signs[:, :, None, None]
        both = torch.stack([upper, lower], dim=-1)  # (c, l, m, n, z, side)
        columns = both.permute(2, 3, 1, 0, 4, 5).reshape(b * b, b, -1)
        found = torch.bmm(self.table.transpose(1, 2), columns)
        found = found.reshape(b, b, len(self.weights), -1, 2, 2).permute(5, 3, 2, 4, 0, 1)
        # (side, c, j, z, m, n) -> where the inverse FFT looks for each order, conjugated
        spectrum = found.new_zeros(*found.shape[1:3], self.sampling + 1, size, 2)
        sign = found.new_tensor([1.0, -1.0])
        spectrum[:, :, :b, :b] = found[0].permute(0, 1, 3, 4, 2) * sign
        if b > 1:
            negative = found[1].flip(1)[..., 1:].flip(-1).permute(0, 1, 3, 4, 2)
            spectrum[:, :, :b, 1 - b :] = negative * sign
        samples: Tensor = torch.fft.irfft2(
            torch.view_as_complex(spectrum), s=(size, size), dim=(-1, -2), norm="forward"
        )
        return samples.reshape(*leading, *self.grid_shape)


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
