r"""Regression with the kernels of an infinitely wide network: what it predicts, and how surely.

Training by gradient flow on the squared error moves a network of infinite width, with the NNGP
kernel K and the constant tangent kernel :math:`\Theta`, from its random start f_0 to

.. math:: f_\infty(x) = f_0(x) + A\,(y - f_0(X)), \qquad A = \Theta(x, X)\,\Theta(X, X)^{-1}.

Over starts, f_0 is a Gaussian process of mean 0 and covariance K; so the mean of f_infty is A y.
Training the read-out alone puts K in place of Theta, and is the Gaussian posterior of f_0 given the
targets. In both a ridge may be added to the matrix that is inverted. Sources: Lee et al.,
arXiv:1711.00165, eqs. 8 and 9; Lee et al., arXiv:1902.06720, corollary 1.

Predictions before the end: ``geocore.kernels.gradient_flow``. Matrices of which a second copy does
not fit into memory: ``geocore.kernels.iterative``, and ``geocore.kernels.solver`` chooses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from geocore.errors import UserError

__all__ = ["Regressor", "Solver", "ensemble_limit", "posterior", "targets"]

# From below the rounding of one entry to what changes predictions more than a ridge chosen would.
_JITTERS = {
    torch.float64: (0.0, *(10.0**power for power in range(-14, -5))),
    torch.float32: (0.0, *(10.0**power for power in range(-7, -2))),
}
_ROWS = 1024  # test samples at a time: what is held beside a kernel that lies on disk


def targets(labels: Tensor, classes: int) -> Tensor:
    """``y = onehot(label) - 1 / classes``: rows sum to 0, as a prior mean of 0 asks for.

    ``labels (n,)`` of an integer type -> ``(n, classes)`` float64. Raises ``ValueError`` for other
    shapes and types, no classes, and a label that is none of ``0 .. classes - 1``.
    """
    whole = not (labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool)
    if labels.ndim != 1 or not whole:
        found = f"{str(labels.dtype).removeprefix('torch.')} of shape {tuple(labels.shape)}"
        raise ValueError(f"labels is {found}; expected integers (n,)")
    if classes < 1:
        raise ValueError(f"classes is {classes}; expected at least 1")
    labels = labels.long()
    wrong = (labels < 0) | (labels >= classes)
    if bool(wrong.any()):
        place = int(wrong.nonzero()[0])
        raise ValueError(
            f"labels has {int(labels[place])} at place {place}; expected 0 to {classes - 1}"
        )
    return F.one_hot(labels, classes).double() - 1 / classes


class Solver(Protocol):
    """What knows ``(G + shift)^-1`` by what it does: ``Regressor``, or conjugate gradients."""

    @property
    def size(self) -> int: ...

    def solve(self, right: Tensor, /) -> Tensor:
        """``(n, m)`` -> the same."""
        ...


@dataclass(frozen=True)
class Regressor:
    """Cholesky factor of ``G + (ridge + jitter) m``, with m the mean of the diagonal of G.

    ``jitter`` is 0 unless rounding has left the matrix without a factor: then it is the first of
    1e-14, 1e-13, ..., 1e-6 (float32: 1e-7, ..., 1e-3) that mends it, and ``reason`` says what was
    found.
    """

    factor: Tensor
    shift: float  # what was added to the diagonal
    jitter: float
    reason: str | None = None  # None without jitter

    @classmethod
    def of(cls, gram: Tensor, ridge: float = 0.0, *, name: str = "gram") -> Regressor:
        """The factor of the kernel ``gram (n, n)``, symmetric: its lower half counts.

        ``gram`` is float64 or float32 and is only read: it may lie in a mapped file. One copy of it
        is made, which becomes the factor. Raises ``ValueError`` for what is no such matrix, and
        ``UserError`` calling it ``name`` if the last jitter does not make it positive definite.
        """
        if gram.ndim != 2 or gram.shape[0] != gram.shape[1] or gram.dtype not in _JITTERS:
            found = f"{gram.dtype} of shape {tuple(gram.shape)}"
            raise ValueError(f"gram is {found}; expected float64 or float32 (n, n)")
        if len(gram) == 0:
            raise ValueError("gram is of shape (0, 0); expected at least one sample")
        if not 0 <= ridge < math.inf:
            raise ValueError(f"ridge is {ridge}; expected 0 or more, and finite")
        for first in range(0, len(gram), _ROWS):  # of the lower half, a few rows at a time
            part = gram[first : first + _ROWS, : first + _ROWS].tril(first)
            if not math.isfinite(total := float(part.sum())):
                raise UserError(f"{name} has entries that add up to {total}; expected finite ones")
        mean, jitters = float(gram.diagonal().mean()), _JITTERS[gram.dtype]
        # Column by column, as LAPACK wants it: then the factor takes the copy's place.
        work = torch.empty_like(gram, memory_format=torch.contiguous_format).mT
        info = torch.empty((), dtype=torch.int32, device=gram.device)
        first = 0
        for jitter in jitters:
            shift = (ridge + jitter) * mean
            work.copy_(gram)
            work.diagonal().add_(shift)
            torch.linalg.cholesky_ex(work, out=(work, info))
            if not int(info):
                return cls(work, shift, jitter, _reason(name, first, len(gram), jitter, mean))
            first = first or int(info)
        raise UserError(
            f"{name} is not positive definite, nor is it with {jitters[-1]:g} of its mean "
            f"diagonal, {mean:.3g}, added; expected a larger ridge, or samples that differ"
        )

    @property
    def size(self) -> int:
        """Training samples."""
        return len(self.factor)

    def solve(self, right: Tensor) -> Tensor:
        """``(G + shift)^-1 right`` for ``right (n, m)``, in the factor's dtype."""
        return torch.cholesky_solve(right.to(self.factor), self.factor)


def _reason(name: str, row: int, count: int, jitter: float, mean: float) -> str | None:
    if not jitter:
        return None
    return (
        f"{name} is not positive definite to rounding: row {row} of {count} depends on those "
        f"before it; {jitter:g} of the mean diagonal, {jitter * mean:.3g}, was added to the "
        "diagonal"
    )


def posterior(regressor: Solver, cross: Tensor, prior: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of the Gaussian process given noisy values ``y`` at the training samples.

    ``K(x, X) G^-1 y`` and ``K(x, x) - K(x, X) G^-1 K(X, x)``, with G what the regressor has
    factored; the variance is that of each output.

    ``cross (m, n)`` the NNGP of test against training samples, ``prior (m,)`` that of each test
    sample with itself, ``y (n, classes)`` -> ``(m, classes)`` and ``(m,)``, at least 0, in the
    solver's dtype.
    """
    _check(regressor, y, cross=cross, prior=prior)
    solved = regressor.solve(y)
    means, variances = [], []
    for rows, own in zip(cross.split(_ROWS), prior.split(_ROWS), strict=True):
        part = rows.to(solved)
        explained = (part * regressor.solve(part.T).T).sum(dim=1)
        means.append(part @ solved)
        variances.append((own.to(solved) - explained).clamp(min=0))
    return torch.cat(means), torch.cat(variances)


def ensemble_limit(
    regressor: Solver,
    cross: Tensor,
    prior: Tensor,
    y: Tensor,
    *,
    nngp: Tensor,
    nngp_cross: Tensor,
) -> tuple[Tensor, Tensor]:
    """Mean and variance, over random starts, of networks trained to the end of gradient flow.

    ``A y`` and ``K(x, x) - 2 A K(X, x) + A K(X, X) A^T``, with ``A = Theta(x, X) G^-1`` and G what
    the regressor has factored; the variance is that of each output.

    ``cross (m, n)`` the tangent kernel of test against training samples, ``nngp (n, n)`` and
    ``nngp_cross (m, n)`` the NNGP of training samples and of test against them, ``prior (m,)`` that
    of each test sample with itself, ``y (n, classes)``; gives ``(m, classes)`` and ``(m,)``, at
    least 0, in the solver's dtype.
    """
    _check(regressor, y, cross=cross, prior=prior, nngp=nngp, nngp_cross=nngp_cross)
    solved = regressor.solve(y)
    nngp = nngp.to(solved)
    means, variances = [], []
    three = (cross.split(_ROWS), nngp_cross.split(_ROWS), prior.split(_ROWS))
    for rows, starts, own in zip(*three, strict=True):
        part = rows.to(solved)
        weights = regressor.solve(part.T).T
        variance = own.to(solved) - 2 * (weights * starts.to(solved)).sum(dim=1)
        variance = variance + ((weights @ nngp) * weights).sum(dim=1)
        means.append(part @ solved)
        variances.append(variance.clamp(min=0))
    return torch.cat(means), torch.cat(variances)


def _check(regressor: Solver, y: Tensor, **kernels: Tensor) -> None:
    """Shapes that would broadcast to something else are refused."""
    n = regressor.size
    if y.ndim != 2 or len(y) != n:
        raise ValueError(f"y has shape {tuple(y.shape)}; expected ({n}, outputs)")
    m = len(kernels["cross"])
    wanted = {"cross": (m, n), "prior": (m,), "nngp": (n, n), "nngp_cross": (m, n)}
    for name, kernel in kernels.items():
        if kernel.shape != wanted[name]:
            found = tuple(kernel.shape)
            raise ValueError(f"{name} has shape {found}; expected {wanted[name]}")
