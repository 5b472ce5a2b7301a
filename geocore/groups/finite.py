"""The finite groups of rotations and reflections that fix a point of the plane."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

__all__ = ["PlanarGroup"]


class PlanarGroup:
    """``C_n`` or, with ``reflections``, ``D_n``: element ``g = r + n s`` is ``R(2 pi r / n) F^s``.

    ``R`` turns counter-clockwise, x to the right and y up; ``F`` is ``x -> -x``. Elements are the
    integers ``0 .. order - 1``, 0 the identity: ``(r, s)(r', s') = (r + (-1)^s r', s + s')``.
    Raises ``ValueError`` for ``n`` below 1.
    """

    def __init__(self, n: int, reflections: bool = False) -> None:
        if n < 1:
            raise ValueError(f"n is {n}; expected at least 1")
        self.n, self.reflections = n, reflections
        self.order = 2 * n if reflections else n
        self.name = f"{'D' if reflections else 'C'}{n}"

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.order))

    def product(self, first: int, second: int) -> int:
        """``first second``: ``second`` acts first."""
        (r, s), (q, t) = self.parts(first), self.parts(second)
        return (r + (-q if s else q)) % self.n + self.n * ((s + t) % 2)

    def inverse(self, element: int) -> int:
        """``g^-1 g = 1``; a reflection is its own inverse."""
        r, s = self.parts(element)
        return element if s else -r % self.n

    def parts(self, element: int) -> tuple[int, int]:
        """``(r, s)`` of ``R^r F^s``. Raises ``ValueError`` for what is no element."""
        if not 0 <= element < self.order:
            raise ValueError(f"element is {element} of {self.name}; expected 0 to {self.order - 1}")
        return element % self.n, element // self.n

    def matrix(self, element: int) -> Tensor:
        """How the element moves points ``(x, y)``: orthogonal ``(2, 2)``, float64."""
        r, s = self.parts(element)
        angle = 2 * math.pi * r / self.n
        cos, sin, flip = math.cos(angle), math.sin(angle), -1.0 if s else 1.0
        return torch.tensor([[flip * cos, -sin], [flip * sin, cos]], dtype=torch.float64)

    def shifted(self, element: int) -> Tensor:
        """``g^-1 h`` for every ``h``: the regular representation is ``(g f)[h] = f[g^-1 h]``."""
        back = self.inverse(element)
        return torch.tensor([self.product(back, other) for other in self])
