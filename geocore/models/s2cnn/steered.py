"""Signals on SO(3) of few orders in the last angle: a sphere with a few directions at each point.

A signal whose coefficients ``f^l_mn`` vanish unless ``|n| < N`` is steerable: its values at ``2N``
turns about a point give all others. A rotation acts on ``m`` alone, so that leaving orders ``n``
out breaks nothing, and of ``8 B^3`` samples ``8 B^2 N`` remain. (Steerable filters on the sphere:
McEwen et al., 1609.06518; spin-weighted CNNs, Esteves et al., 2006.10731, are the same signals.)

Here coefficients lie as ``(m, n, part, l, channel, batch)``, real: ``m = 0 .. b - 1``,
``n = 1 - N .. N - 1``, real and imaginary part. So every sum of the Fourier transform and of the
convolution is a product of a small matrix with long contiguous rows. At these sizes that is faster
than the FFT.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocore.models.s2cnn.activation import FUNCTIONS, ActivationName, GridName, check_name
from geocore.so3.quadrature import colatitudes, grid_sizes
from geocore.so3.wigner_tables import signed_wigner_table

__all__ = ["SteeredActivation", "SteeredTransform", "from_steered", "to_steered"]


def to_steered(coefficients: Tensor, orders: int) -> Tensor:
    """Complex ``(batch, channels, b, b, 2b - 1)`` -> ``(b, 2N - 1, 2, b, channels, batch)``, real.

    Orders ``|n| >= N = orders`` are left out.
    """
    middle = coefficients.shape[-1] // 2
    kept = coefficients[..., middle + 1 - orders : middle + orders]
    return torch.view_as_real(kept.resolve_conj()).permute(3, 4, 5, 2, 1, 0).contiguous()


def from_steered(coefficients: Tensor) -> Tensor:
    """The inverse of ``to_steered``, up to the orders that it left out: those are zero."""
    real, imaginary = coefficients.permute(5, 4, 3, 0, 1, 2).unbind(-1)
    more = (coefficients.shape[0] * 2 - 1 - coefficients.shape[1]) // 2
    return F.pad(torch.complex(real, imaginary), (more, more))


class SteeredTransform(nn.Module):
    r"""``f(R) = sum_l (2l+1) sum_m sum_{|n|<N} f^l_mn D^l_mn(R)``: samples <-> coefficients.

    As ``SO3Transform`` of real signals, with ``|n| < N = orders`` and ``turns`` samples in gamma.
    Samples are ``(alpha, gamma, beta, ...)`` and coefficients ``(m, n, part, l, ...)``.
    ``alpha_k = pi k / B`` with ``B = sampling``, ``gamma_k = 2 pi k / turns``.

    Raises ``ValueError`` for a bandlimit that does not fit the grid, fewer than ``2N - 1`` turns
    and tensors of another shape.
    """

    def __init__(
        self,
        bandlimit: int,
        orders: int,
        grid: GridName = "gauss-legendre",
        *,
        sampling: int | None = None,
        turns: int | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        if not 1 <= orders <= bandlimit:
            raise ValueError(f"orders is {orders}; expected 1 to bandlimit {bandlimit}")
        self.bandlimit, self.orders = bandlimit, orders
        self.sampling = grid_sizes(bandlimit, sampling)
        self.turns = 2 * orders - 1 if turns is None else turns
        if self.turns < 2 * orders - 1:
            raise ValueError(f"turns is {turns}; expected at least {2 * orders - 1}")
        beta, weights = colatitudes(grid, self.sampling)
        self.grid_shape = (2 * self.sampling, self.turns, len(beta))
        self.coefficient_shape = (bandlimit, 2 * orders - 1, 2, bandlimit)
        small = signed_wigner_table(bandlimit, beta)[:, bandlimit - orders :][:, : 2 * orders - 1]
        degrees = torch.arange(bandlimit, dtype=torch.float64)
        # The Haar measure of a sample: dR = d alpha sin(beta) d beta d gamma / (8 pi^2).
        share = weights / (4 * self.sampling * self.turns)
        per_part = small.repeat_interleave(2, dim=1).flatten(0, 1)  # (m n part, l, beta)
        self._keep("to_beta", (per_part * (2 * degrees + 1)[:, None]).mT, dtype)
        self._keep("from_beta", per_part * share, dtype)
        n = torch.arange(1 - orders, orders, dtype=torch.float64)
        steps = torch.arange(self.turns, dtype=torch.float64)[:, None]
        phase = 2 * math.pi / self.turns * steps * n
        # (x + iy) e^-i phase: parts first in gamma, last in n.
        turned = torch.stack(
            [
                torch.stack([phase.cos(), phase.sin()], dim=-1),
                torch.stack([-phase.sin(), phase.cos()], dim=-1),
            ]
        ).flatten(2)
        self._keep("to_gamma", turned.flatten(0, 1), dtype)
        m = torch.arange(bandlimit, dtype=torch.float64)
        steps = torch.arange(2 * self.sampling, dtype=torch.float64)[:, None]
        angle = math.pi / self.sampling * steps * m
        waves = torch.stack([angle.cos(), angle.sin()], dim=-1)
        twice = torch.where(m > 0, 2.0, 1.0)[:, None]  # m and -m of a real signal
        self._keep("to_alpha", (waves * twice).flatten(1), dtype)
        self._keep("from_alpha", waves.flatten(1).T, dtype)

    to_beta: Tensor
    from_beta: Tensor
    to_gamma: Tensor
    to_alpha: Tensor
    from_alpha: Tensor

    def _keep(self, name: str, table: Tensor, dtype: torch.dtype) -> None:
        self.register_buffer(name, table.to(dtype).contiguous(), persistent=False)

    def inverse(self, coefficients: Tensor) -> Tensor:
        """Coefficients ``(m, n, part, l, ...)`` -> samples ``(alpha, gamma, beta, ...)``."""
        b, rest = self.bandlimit, coefficients.shape[4:]
        if tuple(coefficients.shape[:4]) != self.coefficient_shape:
            wanted = ", ".join(map(str, self.coefficient_shape))
            given = tuple(coefficients.shape)
            raise ValueError(f"coefficients has shape {given}; expected ({wanted}, ...)")
        rings = torch.bmm(self.to_beta, coefficients.reshape(len(self.to_beta), b, -1))
        return self.from_rings(rings.view(*self.coefficient_shape[:3], -1, *rest))

    def from_rings(self, rings: Tensor) -> Tensor:
        """``(2l + 1) f^l_mn d^l_mn(beta)``, summed over l: ``(m, n, part, beta, ...)``; the rest.

        -> samples ``(alpha, gamma, beta, ...)``.
        """
        b = self.bandlimit
        turned = torch.matmul(self.to_gamma, rings.reshape(b, self.to_gamma.shape[1], -1))
        samples = self.to_alpha @ turned.view(2 * b, -1)
        return samples.view(*self.grid_shape, *rings.shape[4:])

    def forward(self, samples: Tensor) -> Tensor:
        """Samples ``(alpha, gamma, beta, ...)`` -> coefficients ``(m, n, part, l, ...)``."""
        b, rest = self.bandlimit, samples.shape[3:]
        if tuple(samples.shape[:3]) != self.grid_shape:
            wanted = ", ".join(map(str, self.grid_shape))
            raise ValueError(f"samples has shape {tuple(samples.shape)}; expected ({wanted}, ...)")
        waves = self.from_alpha @ samples.reshape(len(samples), -1)
        # The other way round the matrix of the turns is its transpose: e^(+i phase).
        turned = torch.matmul(self.to_gamma.T, waves.view(b, len(self.to_gamma), -1))
        found = torch.bmm(
            self.from_beta, turned.view(len(self.from_beta), len(self.to_beta[0]), -1)
        )
        return found.view(*self.coefficient_shape, *rest)


class SteeredActivation(nn.Module):
    """``f -> fn(f)`` on SO(3), cut at ``bandlimits[1]`` and ``orders[1]``.

    ``(m, n, part, l, channel, batch)`` to the same. As equivariant as the grid is fine, which is
    ``SO3Activation``'s: ``ceil(oversampling max(b, b'))``, and twice ``ceil(oversampling max(N,
    N'))`` turns; a signal of one order has one turn. Of what lies beyond the grid's bandlimit ``B``
    degrees above ``2B - b'`` fold back into the ``b'`` that are kept, and training finds them: on
    grids of ``oversampling (b + b') / 2``, hardly finer than ``b`` where only the mean is read, a
    classifier of upright digits came to tell a tenth of them by their pose.

    Raises ``ValueError`` for another ``fn``, an oversampling below 1 and coefficients of another
    shape.
    """

    def __init__(
        self,
        fn: ActivationName,
        bandlimits: tuple[int, int],
        orders: tuple[int, int],
        *,
        oversampling: float = 1.0,
        grid: GridName = "gauss-legendre",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        check_name(fn)
        if not oversampling >= 1:
            raise ValueError(f"oversampling is {oversampling}; expected at least 1")
        self.fn = fn
        sampling = math.ceil(oversampling * max(bandlimits))
        turns = 2 * math.ceil(oversampling * max(orders)) if max(orders) > 1 else 1
        self.to_grid, self.from_grid = (
            SteeredTransform(b, n, grid, sampling=sampling, turns=turns, dtype=dtype)
            for b, n in zip(bandlimits, orders, strict=True)
        )

    def forward(self, coefficients: Tensor) -> Tensor:
        return self.from_samples(self.to_grid.inverse(coefficients))

    def from_samples(self, samples: Tensor) -> Tensor:
        """``fn`` of samples on the grid, and its coefficients."""
        found: Tensor = self.from_grid(FUNCTIONS[self.fn](samples))
        return found

    def extra_repr(self) -> str:
        return f"{self.fn}, grid_shape={self.to_grid.grid_shape}"
