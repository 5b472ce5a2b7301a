"""Flat two-dimensional sections of input space, and fields of exponents over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from geocore.explain.hidden import HiddenMap
from geocore.explain.lyapunov import Exponents, Method, lyapunov_exponents

__all__ = ["ExponentField", "Section", "exponent_field"]

_ROUNDING = 1e-5  # how far from orthonormal the axes may be


@dataclass(frozen=True)
class Section:
    """``x(a, b) = origin + a first + b second`` for ``a`` and ``b`` in ``[-extent, extent]``.

    ``origin``, ``first`` and ``second (*input)``, the axes orthonormal, so that distances in the
    section are those of input space. ``size`` points a side, the outermost on the rim. Raises
    ``ValueError`` for axes that are not orthonormal, fewer than 3 points, no extent.
    """

    origin: Tensor
    first: Tensor
    second: Tensor
    extent: float = 1.0
    size: int = 101

    def __post_init__(self) -> None:
        if not self.origin.shape == self.first.shape == self.second.shape:
            shapes = [tuple(t.shape) for t in (self.origin, self.first, self.second)]
            raise ValueError(f"origin, first, second have shapes {shapes}; expected one")
        if self.size < 3 or not self.extent > 0:
            found = f"{self.size}, {self.extent}"
            raise ValueError(f"size, extent are {found}; expected at least 3, above 0")
        axes = torch.stack([self.first.flatten(), self.second.flatten()]).double()
        off = float((axes @ axes.mT - torch.eye(2).double().to(axes.device)).abs().max())
        if off > _ROUNDING:
            raise ValueError(f"first, second are off orthonormal by {off:.1e}; expected 0")

    @classmethod
    def plane(
        cls, extent: float = 1.0, size: int = 101, *, dtype: torch.dtype | None = None
    ) -> Section:
        """All of a two-dimensional input space around 0."""
        first, second = torch.eye(2, dtype=dtype)
        return cls(torch.zeros(2, dtype=dtype), first, second, extent, size)

    @classmethod
    def through(
        cls, points: tuple[Tensor, Tensor, Tensor], *, margin: float = 0.2, size: int = 101
    ) -> Section:
        """Through three inputs, its origin in their middle, wide enough to hold them and a margin.

        The first axis points from the first to the second input. Raises ``ValueError`` for three
        inputs on a line.
        """
        a, b, c = points
        origin = (a + b + c) / 3
        first = (b - a) / (b - a).norm()
        rest = (c - a) - ((c - a) * first).sum() * first
        rest = rest - (rest * first).sum() * first
        if not float(rest.norm()) > 1e-6 * float((c - a).norm()):
            raise ValueError("points lie on a line; expected three that span a plane")
        second = rest / rest.norm()
        reach = max(
            abs(float(((p - origin) * axis).sum())) for p in points for axis in (first, second)
        )
        return cls(origin, first, second, (1 + margin) * reach, size)

    @property
    def spacing(self) -> float:
        """Between neighbouring points of an axis."""
        return 2 * self.extent / (self.size - 1)

    def coordinates(self) -> Tensor:
        """``(a, b)`` of every point, ``(size, size, 2)``: ``a`` grows along the first axis."""
        steps = torch.linspace(-self.extent, self.extent, self.size, dtype=self.origin.dtype)
        a, b = torch.meshgrid(steps, steps, indexing="ij")
        return torch.stack([a, b], dim=-1).to(self.origin.device)

    def points(self) -> Tensor:
        """The inputs, ``(size, size, *input)``."""
        a, b = self.coordinates().unbind(-1)
        each = (..., *[None] * self.origin.ndim)
        return self.origin + a[each] * self.first + b[each] * self.second

    def components(self, direction: Tensor) -> Tensor:
        """Of vectors ``(..., *input)`` along both axes, ``(..., 2)``."""
        flat = direction.flatten(direction.ndim - self.origin.ndim)
        return flat @ torch.stack([self.first.flatten(), self.second.flatten()], dim=1).to(flat)


@dataclass(frozen=True)
class ExponentField:
    """Exponents over a section; ``...`` is ``members`` or nothing.

    ``exponent (..., size, size)``, and ``direction (..., size, size, 2)``: the stretching
    direction's components in the section, whose length says how much of it lies there.
    """

    section: Section
    exponent: Tensor
    direction: Tensor
    depth: int

    @property
    def total(self) -> Tensor:
        """``L lambda``."""
        return self.depth * self.exponent


def exponent_field(
    hidden: HiddenMap,
    section: Section,
    parameters: Mapping[str, Tensor] | None = None,
    *,
    method: Method = "auto",
    chunk: int | None = None,
) -> ExponentField:
    """``lambda`` and the stretching direction at every point of a section.

    The exponents are those of the whole input space: what stretches most may lead out of the
    section. Members, methods, chunks and what raises as in ``lyapunov_exponents``.
    """
    inputs = section.points().flatten(0, 1)
    found: Exponents = lyapunov_exponents(hidden, inputs, parameters, method=method, chunk=chunk)
    size = (section.size, section.size)
    place = found.largest.ndim - 1
    return ExponentField(
        section,
        found.largest.unflatten(place, size),
        section.components(found.direction).unflatten(place, size),
        found.depth,
    )
