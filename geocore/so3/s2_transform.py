"""The Fourier transform of functions on the sphere, from a grid of samples and back."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from geocore.so3.quadrature import colatitudes, grid_sizes
from geocore.so3.wigner_tables import wigner_table

__all__ = ["S2Transform"]


class S2Transform(nn.Module):
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
        super().__init__()
        self.bandlimit, self.grid, self.real = bandlimit, grid, real
        self.sampling = grid_sizes(bandlimit, sampling)
        beta, weights = colatitudes(grid, self.sampling)
        degrees = torch.arange(bandlimit, dtype=torch.float64)
        harmonics = wigner_table(bandlimit, beta, orders=1)[:, 0]  # (m, l, j)
        harmonics = harmonics * ((2 * degrees + 1) / (4 * math.pi)).sqrt()[:, None]
        self.register_buffer("table", harmonics.to(dtype), persistent=False)
        self.register_buffer("weights", (2 * math.pi * weights).to(dtype), persistent=False)
        self.grid_shape = (len(beta), 2 * self.sampling)
        orders = bandlimit if real else 2 * bandlimit - 1
        self.coefficient_shape = (bandlimit, orders)

    def forward(self, samples: Tensor) -> Tensor:
        """Samples ``(..., beta, alpha)`` -> coefficients ``(..., l, m)``."""
        check_signal("samples", samples, self.grid_shape, complex_valued=not self.real)
        if self.real:
            return self._analyse(samples)
        parts = self._analyse(torch.stack([samples.real, samples.imag]))
        full = _with_negative_orders(parts)
        return full[0] + 1j * full[1]

    def inverse(self, coefficients: Tensor) -> Tensor:
        """Coefficients ``(..., l, m)`` -> samples ``(..., beta, alpha)``.

        The imaginary part of a real signal's ``m = 0`` has no meaning and is passed over.
        """
        check_signal("coefficients", coefficients, self.coefficient_shape, complex_valued=True)
        if self.real:
            return self._synthesise(coefficients)
        # The coefficients of a function's conjugate; half the sum is its real part's.
        mirrored = coefficients.flip(-1).conj() * _signs(self.bandlimit, coefficients)
        real, imaginary = (coefficients + mirrored) / 2, (coefficients - mirrored) / 2j
        halves = torch.stack([real, imaginary])[..., self.bandlimit - 1 :]
        signals = self._synthesise(halves)
        return torch.complex(signals[0], signals[1])

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


def check_signal(name: str, value: Tensor, shape: tuple[int, ...], *, complex_valued: bool) -> None:
    """Raise for a tensor that does not end in ``shape``, or is of the other kind of number."""
    if value.ndim < len(shape) or value.shape[value.ndim - len(shape) :] != shape:
        wanted = ", ".join(str(size) for size in shape)
        raise ValueError(f"{name} has shape {tuple(value.shape)}; expected (..., {wanted})")
    if complex_valued != value.is_complex() or not (complex_valued or value.is_floating_point()):
        kind = "complex numbers" if complex_valued else "floats"
        raise TypeError(f"{name} is {value.dtype}; expected {kind}")


def _with_negative_orders(half: Tensor) -> Tensor:
    """``f_{l,-m} = (-1)^m conj f_lm`` of real signals: ``(..., l, b)`` -> ``(..., l, 2b - 1)``."""
    bandlimit = half.shape[-1]
    negative = half[..., 1:].conj() * _signs(bandlimit, half)[bandlimit:]
    return torch.cat([negative.flip(-1), half], dim=-1)


def _signs(bandlimit: int, like: Tensor) -> Tensor:
    """``(-1)^m`` for ``m = 1 - b .. b - 1``."""
    orders = torch.arange(1 - bandlimit, bandlimit, device=like.device)
    return (1 - 2 * (orders % 2)).to(like.real.dtype)
