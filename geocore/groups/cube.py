"""The rotations that take a cube to itself, and groups of matrices acting on vectors."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations, product

import torch
from torch import Tensor

__all__ = ["OnVectors", "cube_rotations"]


def cube_rotations() -> Tensor:
    """The 24 signed permutation matrices of determinant 1, ``(24, 3, 3)`` float64, 1 first.

    ``R R'`` of two of them is one of them: the octahedral group, the largest finite subgroup of
    SO(3) that fixes no axis and permutes coordinates up to signs.
    """
    found = []
    for places in permutations(range(3)):
        for signs in product((1.0, -1.0), repeat=3):
            matrix = torch.zeros(3, 3, dtype=torch.float64)
            matrix[range(3), places] = torch.tensor(signs, dtype=torch.float64)
            if torch.linalg.det(matrix) > 0:
                found.append(matrix)
    return torch.stack(found)


class OnVectors:
    """``x -> R x`` of ``(..., 3)`` for each of some matrices; elements are their places.

    Signed permutations move and negate numbers, exactly, in any dtype. Raises ``ValueError`` for
    other than ``(order, 3, 3)``.
    """

    def __init__(self, matrices: Tensor, name: str) -> None:
        if matrices.ndim != 3 or matrices.shape[1:] != (3, 3) or len(matrices) == 0:
            raise ValueError(f"matrices has shape {tuple(matrices.shape)}; expected (order, 3, 3)")
        self.matrices, self.name = matrices, name

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.matrices)))

    def act(self, element: int, x: Tensor) -> Tensor:
        """``R x``. Raises ``ValueError`` for another last axis than 3."""
        if x.ndim == 0 or x.shape[-1] != 3:
            raise ValueError(f"x has shape {tuple(x.shape)}; expected (..., 3)")
        return x @ self.matrices[element].to(x).T
