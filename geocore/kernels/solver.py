"""How a regression's matrix is solved: a Cholesky factor while it fits, else conjugate gradients.

Which of both depends on the matrix's size alone, never on the machine: predictions are the same
everywhere. Sources: those of ``geocore.kernels.regression`` and ``geocore.kernels.iterative``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from geocore.kernels.iterative import MatrixRows, Preconditioner, pivoted, solve
from geocore.kernels.regression import Regressor

__all__ = ["FACTOR_BYTES", "IterativeRegressor", "SolverName", "regressor"]

SolverName = Literal["auto", "cholesky", "iterative"]

FACTOR_BYTES = 4 * 2**30
"""What a factor takes at most where ``auto`` makes one: n = 23,170 in float64."""
_RANK = 500  # of the preconditioner: rows that are taken of the matrix
_COLUMNS = 64  # right sides that search together: of each a few vectors of n numbers are held
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class IterativeRegressor:
    """``(G + ridge m)^-1 b`` by conjugate gradients, with m the mean of the diagonal of G.

    The interface of ``Regressor``. Nothing is ever added but the ridge: where that does not make
    the matrix well enough conditioned, ``solve`` raises ``UserError``.
    """

    operator: MatrixRows
    preconditioner: Preconditioner
    ridge: float
    shift: float
    name: str = "gram"
    jitter: float = 0.0
    reason: str | None = None

    @classmethod
    def of(
        cls, gram: Tensor, ridge: float = 0.0, *, name: str = "gram", rank: int = _RANK
    ) -> IterativeRegressor:
        """Of the kernel ``gram (n, n)``, symmetric, which may lie in a mapped file: it is read.

        ``rank`` rows at most make the preconditioner, the same in every run. Raises ``ValueError``
        for what is no such matrix or rank.
        """
        operator = MatrixRows(gram)
        near = pivoted(operator, min(rank, operator.size), seed=0)
        shift = ridge * float(operator.diagonal().mean())
        return cls(operator, near, ridge, shift, name)

    @property
    def size(self) -> int:
        """Training samples."""
        return self.operator.size

    def solve(self, right: Tensor) -> Tensor:
        """``(G + shift)^-1 right`` for ``right (n, m)``, float64, to 1e-9 of each right side.

        Raises ``UserError`` as ``geocore.kernels.iterative.solve`` does.
        """
        found = [
            solve(
                self.operator, some, ridge=self.ridge, preconditioner=self.preconditioner,
                tolerance=_TOLERANCE, name=self.name,
            ).solution
            for some in right.split(_COLUMNS, dim=1)
        ]  # fmt: skip
        return torch.cat(found, dim=1)


def regressor(
    gram: Tensor, ridge: float = 0.0, *, solver: SolverName = "auto", name: str = "gram"
) -> Regressor | IterativeRegressor:
    """What solves with the kernel ``gram (n, n)``; ``auto`` by the bytes of its factor.

    Raises ``ValueError`` for another solver and as either does, ``UserError`` as ``Regressor.of``.
    """
    if solver not in ("auto", "cholesky", "iterative"):
        raise ValueError(f"solver is {solver!r}; expected 'auto', 'cholesky' or 'iterative'")
    fits = gram.numel() * gram.element_size() <= FACTOR_BYTES
    if solver == "cholesky" or (solver == "auto" and fits):
        return Regressor.of(gram, ridge, name=name)
    return IterativeRegressor.of(gram, ridge, name=name)
