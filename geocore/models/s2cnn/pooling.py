"""From SO(3) to the sphere, and to numbers that no rotation changes."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocore.models.s2cnn.convolution import Convolution, check_coefficients
from geocore.models.s2cnn.kernels import KernelGrid, SO3Spectrum

__all__ = ["SO3Invariant", "SO3ToS2"]


class SO3ToS2(Convolution):
    """``h_o(x) = (f * psi_o)`` of ``SO3Convolution``, averaged over all ``R`` with ``R e_z = x``.

    The average over the last angle keeps the column ``k = 0``:
    ``h_lm = sqrt(4 pi (2l + 1)) conj(sum_i sum_n f^l_mn conj(psi^l_0n)) + bias_o`` at ``l = 0``.
    Complex ``(batch, in, b, b, 2b - 1)`` -> ``(batch, out, b', b')``. A rotation ``S`` of the input
    is the rotation ``h_l -> D^l(S) h_l`` of the output (Gerken et al., 2202.03990, section 3).

    The kernel's values at points that differ by ``R_z`` from the left count as their sum: what is
    learned is a function on the sphere. Raises ``ValueError`` for coefficients of another shape.
    """

    def prepare(self, kernel: KernelGrid, dtype: torch.dtype) -> None:
        self.spectrum = SO3Spectrum(kernel, self.degrees, dtype, rows=1)
        factor = (4 * math.pi * (2 * torch.arange(self.degrees, dtype=torch.float64) + 1)).sqrt()
        self.register_buffer("factor", factor.to(dtype)[:, None], persistent=False)

    factor: Tensor

    def forward(self, coefficients: Tensor) -> Tensor:
        b, edge = self.bandlimit_in, self.degrees
        check_coefficients(coefficients, (self.in_channels, b, b, 2 * b - 1))
        kernel = self.spectrum(self.values())[:, 0]  # (l, n, out, in)
        signal = coefficients[:, :, :edge, :edge, b - edge : b + edge - 1]
        out = torch.einsum("zilmn,lnoi->zolm", signal.conj(), kernel) * self.factor
        if self.bias is not None:
            # The function 1 has the coefficient sqrt(4 pi) at l = 0.
            level = self.bias[:, None, None] * (4 * math.pi) ** 0.5
            out = out + F.pad(level, (0, edge - 1, 0, edge - 1))
        more = self.bandlimit_out - edge
        return F.pad(out, (0, more, 0, more))


class SO3Invariant(nn.Module):
    """``int f(R) dR = f^0_00``, which no rotation changes.

    Complex ``(batch, channels, b, b, 2b - 1)`` -> real ``(batch, channels)``. Raises ``ValueError``
    for another shape.
    """

    def forward(self, coefficients: Tensor) -> Tensor:
        channels, b = coefficients.shape[1:2], coefficients.shape[-2]
        check_coefficients(coefficients, (*channels, b, b, 2 * b - 1))
        middle = b - 1
        return coefficients[:, :, 0, 0, middle].real
