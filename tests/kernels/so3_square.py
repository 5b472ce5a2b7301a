"""An activation whose kernels are polynomials: every quadrature is exact, and so is every test."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from geocore.kernels.dual import Variances
from geocore.kernels.layers import Elementwise


@dataclass(frozen=True)
class Square(Elementwise):
    """``x^2``: ``E[u^2 v^2] = a b + 2 k^2`` and ``E[2u 2v] = 4 k``, by Wick's theorem."""

    def function(self, x: Tensor) -> Tensor:
        return x * x

    def variance(self, a: Tensor) -> Tensor:
        return 3 * a * a

    def dual(self, k: Tensor, variances: Variances, slope: bool = True) -> tuple[Tensor, Tensor]:
        a, b = variances.pair(lambda v: v)
        return 2 * k * k + a * b, 4 * k
