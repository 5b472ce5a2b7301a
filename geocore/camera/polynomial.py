"""WoodScape's lens: a polynomial in the angle from the axis."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from geocore.camera.lens import RadialCamera

__all__ = ["RadialPolynomial"]

_REAL = 1e-7  # a root this close to the real line counts: a double root is only known that well


@dataclass(frozen=True)
class RadialPolynomial(RadialCamera):
    """``rho = k1 theta + k2 theta^2 + ... + kn theta^n`` in pixels, ``coefficients = (k1 .. kn)``.

    Valid up to the first angle where it stops to rise, at most 180 degrees. Source: WoodScape
    (Yogamani et al., 2019), with four coefficients; its ``cx_offset, cy_offset`` are ``offset``
    and its ``aspect_ratio`` is ``aspect``.
    """

    model: ClassVar[str] = "radial_polynomial"

    coefficients: tuple[float, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        found = self.coefficients
        if not isinstance(found, tuple):
            raise TypeError(f"coefficients is a {type(found).__name__}; expected a tuple")
        if not found or not all(math.isfinite(k) for k in found) or not found[0] > 0:
            raise ValueError(
                f"coefficients is {found}; expected finite numbers of which the first is above 0"
            )

    @cached_property
    def formula_limit(self) -> float:
        falling = [order * k for order, k in enumerate(self.coefficients, 1)][::-1]
        roots = np.roots(falling)
        real = roots.real[(np.abs(roots.imag) <= _REAL) & (roots.real > 0)]
        return min(float(real.min()), math.pi) if len(real) else math.pi

    def radius(self, theta: Tensor) -> Tensor:
        total = theta * self.coefficients[-1]
        for k in self.coefficients[-2::-1]:
            total = (total + k) * theta
        return total

    def slope(self, theta: Tensor) -> Tensor:
        total = theta.new_zeros(())
        for order in range(len(self.coefficients), 0, -1):
            total = total * theta + order * self.coefficients[order - 1]
        return total.expand_as(theta)

    def scaled(self, factor: float, **others: Any) -> RadialPolynomial:
        coefficients = tuple(k * factor for k in self.coefficients)
        return dataclasses.replace(self, coefficients=coefficients, **others)
