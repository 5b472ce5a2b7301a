"""Convolutions of signals on the sphere and on SO(3), in the Fourier domain.

A rotation acts by ``(S f)(R) = f(S^-1 R)``, on coefficients ``f_l -> D^l(S) f_l`` on the sphere and
``f^l -> conj(D^l(S)) f^l`` on SO(3) (it mixes the first index). What is here commutes with it to
rounding. Coefficients are those of ``geocore.so3``: real signals, orders ``m >= 0`` alone.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocore.models.s2cnn.kernels import KernelGrid, S2Spectrum, SO3Spectrum
from geocore.so3.orders import all_orders, alternating

__all__ = ["Convolution", "S2Convolution", "SO3Convolution", "check_coefficients"]


class Convolution(nn.Module):
    """Weights ``(out, in, points)``, a bias a channel, and the checks that all have in common.

    From ``in_channels`` signals of degrees below ``bandlimit_in`` to ``out_channels`` below
    ``bandlimit_out``, with kernels on the points of ``kernel``; weights from ``generator``.

    The kernel's values are ``sqrt(gain / (points in_channels)) weight`` with weights of variance 1:
    as ``D^l`` is unitary, ``gain = 1`` keeps the expected mean square of a signal, degree by
    degree; 2 makes up for a ReLU before. The factor is not in the weights since Adam moves each by
    its step size whatever it is, and all points of a kernel together move its mean: without the
    factor, by hundreds of times its size.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        bandlimit_in: int,
        bandlimit_out: int,
        kernel: KernelGrid,
        *,
        bias: bool = True,
        gain: float = 1.0,
        dtype: torch.dtype = torch.float32,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        channels, bandlimits = (in_channels, out_channels), (bandlimit_in, bandlimit_out)
        for name, pair in (("channels", channels), ("bandlimits", bandlimits)):
            if min(pair) < 1:
                raise ValueError(f"{name} are {pair} (in, out); expected positive integers")
        self.in_channels, self.out_channels = channels
        self.bandlimit_in, self.bandlimit_out = bandlimits
        self.degrees = min(bandlimits)
        self.scale = (gain / (kernel.points * self.in_channels)) ** 0.5
        shape = (self.out_channels, self.in_channels, kernel.points)
        self.weight = nn.Parameter(torch.empty(shape, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(shape[:1], dtype=dtype)) if bias else None
        self.prepare(kernel, dtype)
        self.initialise(generator)

    @abstractmethod
    def prepare(self, kernel: KernelGrid, dtype: torch.dtype) -> None:
        """Build the kernel's transform and whatever else is constant."""

    def initialise(self, generator: torch.Generator | None = None) -> None:
        """Normal weights of variance 1, no bias."""
        nn.init.normal_(self.weight, generator=generator)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def values(self) -> Tensor:
        """The kernel's values at its points, ``(out, in, points)``."""
        values: Tensor = self.scale * self.weight
        return values

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, bandlimit_in={self.bandlimit_in}, "
            f"bandlimit_out={self.bandlimit_out}, points={self.weight.shape[-1]}"
        )


class S2Convolution(Convolution):
    """``h_o(R) = sum_i int_S2 f_i(x) psi_oi(R^-1 x) dx + bias_o``, from the sphere to SO(3).

    In coefficients ``h^l_mn = sum_i conj(f_lm) psi_ln / (2l + 1)`` (Cohen et al., Spherical CNNs,
    1801.10130, eq. 4). Complex ``(batch, in, b, b)`` -> ``(batch, out, b', b', 2b' - 1)``. Degrees
    from ``bandlimit_out`` on are cut; if it is the larger one, its own are zero.

    Raises ``ValueError`` for coefficients of another shape, or a kernel grid not on the sphere.
    """

    def prepare(self, kernel: KernelGrid, dtype: torch.dtype) -> None:
        self.spectrum = S2Spectrum(kernel, self.degrees, dtype)
        shares = 1 / (2 * torch.arange(self.degrees, dtype=torch.float64) + 1)
        self.register_buffer("shares", shares.to(dtype), persistent=False)

    shares: Tensor

    def forward(self, coefficients: Tensor) -> Tensor:
        b = self.bandlimit_in
        check_coefficients(coefficients, (self.in_channels, b, b))
        kernel = all_orders(self.spectrum(self.values()) * self.shares[:, None])
        signal = coefficients[..., : self.degrees, : self.degrees].conj()
        out = torch.einsum("zilm,oiln->zolmn", signal, kernel)
        if self.bias is not None:
            out = out + _constant(self.bias, self.degrees)
        more = self.bandlimit_out - self.degrees
        return F.pad(out, (more, more, 0, more, 0, more))


class SO3Convolution(Convolution):
    """``h_o(R) = sum_i int_SO3 f_i(Q) psi_oi(R^-1 Q) dQ + bias_o``, with Haar mass 1.

    In coefficients ``h^l_mk = sum_i sum_n f^l_mn conj(psi^l_kn)``: a matrix product a degree,
    ``f^l psi^l^+`` (Cohen et al., Spherical CNNs, 1801.10130, eq. 6). Complex
    ``(batch, in, b, b, 2b - 1)`` -> ``(batch, out, b', b', 2b' - 1)``. Degrees from
    ``bandlimit_out`` on are cut; if it is the larger one, its own are zero. It takes
    ``batch in out b^4`` complex multiplications for the smaller ``b``.

    Raises ``ValueError`` for coefficients of another shape, or a kernel grid not on SO(3).
    """

    def prepare(self, kernel: KernelGrid, dtype: torch.dtype) -> None:
        self.spectrum = SO3Spectrum(kernel, self.degrees, dtype)
        k, n = torch.arange(self.degrees), torch.arange(1 - self.degrees, self.degrees)
        signs = alternating(k[:, None] - n).to(dtype)
        self.register_buffer("signs", signs[..., None, None], persistent=False)

    signs: Tensor

    def forward(self, coefficients: Tensor) -> Tensor:
        b = self.bandlimit_in
        check_coefficients(coefficients, (self.in_channels, b, b, 2 * b - 1))
        kernels = self.spectrum(self.values()).unbind(0)
        signals = coefficients.unbind(2)
        wide = self.bandlimit_out
        found = []
        for degree in range(self.degrees):
            out = self._product(signals[degree], kernels[degree], degree)
            if degree == 0 and self.bias is not None:
                out = out + self.bias[:, None, None]
            more = wide - 1 - degree
            found.append(F.pad(out, (more, more, 0, more)))
        stacked = torch.stack(found, dim=2)
        return F.pad(stacked, (0, 0, 0, 0, 0, wide - self.degrees))

    def _product(self, signal: Tensor, kernel: Tensor, degree: int) -> Tensor:
        """``(batch, in, m, n)`` and ``(k >= 0, n, out, in)``, padded -> ``(batch, out, m, k)``."""
        orders = 2 * degree + 1
        signal = signal[:, :, : degree + 1, self.bandlimit_in - 1 - degree :][..., :orders]
        inside = slice(self.degrees - 1 - degree, self.degrees + degree)
        upper = kernel[: degree + 1, inside].conj()
        lower = (upper[1:].conj() * self.signs[1 : degree + 1, inside]).flip(0, 1)
        full = torch.cat([lower, upper])  # conj psi_kn, all k
        rows = signal.permute(0, 2, 1, 3).flatten(2).flatten(0, 1)  # (batch m, in n)
        columns = full.permute(3, 1, 2, 0).flatten(2).flatten(0, 1)  # (in n, out k)
        product = (rows @ columns).reshape(-1, degree + 1, self.out_channels, orders)
        return product.transpose(1, 2)


def _constant(values: Tensor, bandlimit: int) -> Tensor:
    """The function ``values`` on SO(3): ``f^0_00 = values``; ``(c) -> (c, b, b, 2b - 1)``."""
    edge = bandlimit - 1
    return F.pad(values[:, None, None, None], (edge, edge, 0, edge, 0, edge))


def check_coefficients(coefficients: Tensor, expected: tuple[int, ...]) -> None:
    """Complex ``(batch, *expected)``, or a ``ValueError``/``TypeError`` in a line."""
    shape = tuple(coefficients.shape)
    if len(shape) != len(expected) + 1 or shape[1:] != expected:
        wanted = ", ".join(map(str, expected))
        raise ValueError(f"coefficients has shape {shape}; expected (batch, {wanted})")
    if not coefficients.is_complex():
        raise TypeError(f"coefficients is {coefficients.dtype}; expected complex numbers")
