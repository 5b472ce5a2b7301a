r"""The two sums of the SO(3) Fourier transform of real signals, each the other's derivative.

.. math::
    (A f)_{lmn} = \sum_{j} T_{mnlj} \sum_{\alpha\gamma} f_{j\alpha\gamma} e^{im\alpha + in\gamma},
    \qquad
    (S c)_{j\alpha\gamma} = \mathrm{Re} \sum_{mn} \epsilon_m \sum_l T_{mnlj} c_{lmn}
    e^{-im\alpha - in\gamma}

with ``m >= 0``, ``epsilon_0 = 1`` and else 2, and a table ``T_mnlj``: ``d^l_mn(beta_j)`` times
weights that do not depend on ``m, n`` and are the same north and south. For real inner products
``A^T c = S (c / epsilon)`` and ``S^T f = epsilon A f``. torch differentiates a real FFT by a
complex one of twice the size, and every step of packing by another; here each derivative is the
other sum, at the other's cost.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from geocore.so3.orders import alternating

__all__ = ["analysis", "synthesis"]


def analysis(samples: Tensor, table: Tensor) -> Tensor:
    """``A``: real ``(c, beta, alpha, gamma)``, ``(b b, b, beta)`` -> ``(c, b, b, 2b - 1)``.

    ``table`` is ``(m n, l, j)``, of a grid symmetric about the equator; it gets no gradient.
    """
    found: Tensor = _Analysis.apply(samples, table.detach())  # type: ignore[no-untyped-call]
    return found


def synthesis(coefficients: Tensor, table: Tensor, size: int) -> Tensor:
    """``S``: complex ``(c, b, b, 2b - 1)``, ``(b b, b, beta)`` -> ``(c, beta, size, size)``."""
    found: Tensor = _Synthesis.apply(coefficients, table.detach(), size)  # type: ignore[no-untyped-call]
    return found


class _Analysis(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(samples: Tensor, table: Tensor) -> Tensor:
        b, count = table.shape[1], len(samples)
        spectrum = torch.fft.rfft2(samples, dim=(-1, -2))[:, :, :b]  # (c, j, m, n)
        columns = spectrum.new_empty(b, b, table.shape[2], 2, count)
        columns[:, :, :, 0] = spectrum[..., :b].permute(2, 3, 1, 0)
        # d^l_{m,-n}(beta) = (-1)^(l+m) d^l_mn(pi - beta): the same table, colatitudes reversed.
        columns[:, 0, :, 1] = 0
        if b > 1:
            below = spectrum[..., 1 - b :].flip(1, 3)
            columns[:, 1:, :, 1] = below.permute(2, 3, 1, 0)
        found = _product(table, columns)  # (m, n, l, side, c)
        out: Tensor = spectrum.new_empty(count, b, b, 2 * b - 1)
        # The FFT's kernel is D's and not its conjugate; the table is real, so that can wait.
        out[..., b - 1 :] = found[:, :, :, 0].permute(3, 2, 0, 1).conj()
        below = found[:, 1:, :, 1].flip(1) * _signs(b, samples)[:, None, :, None]
        out[..., : b - 1] = below.permute(3, 2, 0, 1).conj()
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        del output
        ctx.save_for_backward(inputs[1])
        ctx.save_for_forward(inputs[1])
        ctx.size = inputs[0].shape[-1]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (table,) = ctx.saved_tensors
        halved = gradients[0] / _multiplicity(table.shape[1], gradients[0])
        return synthesis(halved, table, ctx.size), None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        (table,) = ctx.saved_tensors
        return analysis(tangents[0], table)


class _Synthesis(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(coefficients: Tensor, table: Tensor, size: int) -> Tensor:
        b, count, rows = table.shape[1], len(coefficients), table.shape[2]
        columns = coefficients.new_empty(b, b, b, 2, count)  # (m, n, l, side, c)
        columns[:, :, :, 0] = coefficients[..., b - 1 :].permute(2, 3, 1, 0)
        below = coefficients[..., :b].flip(3).permute(2, 3, 1, 0)
        columns[:, :, :, 1] = below * _signs(b, coefficients.real)[:, None, :, None]
        found = _product(table.transpose(1, 2), columns)  # (m, n, j, side, c)
        spectrum = coefficients.new_zeros(count, rows, size // 2 + 1, size)
        spectrum[:, :, :b, :b] = found[:, :, :, 0].permute(3, 2, 0, 1).conj()
        if b > 1:
            below = found[:, 1:, :, 1].flip(1, 2).permute(3, 2, 0, 1)
            spectrum[:, :, :b, 1 - b :] = below.conj()
        samples: Tensor = torch.fft.irfft2(spectrum, s=(size, size), dim=(-1, -2), norm="forward")
        return samples

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: Tensor) -> None:
        del output
        ctx.save_for_backward(inputs[1])
        ctx.save_for_forward(inputs[1])
        ctx.size = inputs[2]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (table,) = ctx.saved_tensors
        found = analysis(gradients[0], table)
        return found * _multiplicity(table.shape[1], found), None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        (table,) = ctx.saved_tensors
        return synthesis(tangents[0], table, ctx.size)


def _product(table: Tensor, columns: Tensor) -> Tensor:
    """One matrix for each ``(m, n)`` on the third axis of ``(m, n, x, side, c)``, complex."""
    shape = columns.shape
    flat = torch.view_as_real(columns).reshape(len(table), shape[2], -1)
    found = torch.bmm(table, flat).reshape(*shape[:2], -1, *shape[3:], 2)
    return torch.view_as_complex(found)


def _signs(bandlimit: int, like: Tensor) -> Tensor:
    """``(-1)^(l + m)``, ``(b, b)``: the same in either order."""
    orders = torch.arange(bandlimit, device=like.device)
    return alternating(orders[:, None] + orders).to(like.dtype)


def _multiplicity(bandlimit: int, like: Tensor) -> Tensor:
    """``epsilon_m`` as ``(b, 1)``: how often an order and its negative stand in a real signal."""
    counts = torch.full((bandlimit, 1), 2.0, dtype=like.real.dtype, device=like.device)
    counts[0] = 1
    return counts
