r"""Regression with kernels of which no factor fits into memory: conjugate gradients in blocks.

``(G + r) X = B`` for many right sides at once, from products ``G V`` alone: all columns search in
the span of all their directions (O'Leary's block method), which are kept orthonormal, so that right
sides may depend on each other as those of centred one-hot targets do (Dubrulle 2001, algorithm
BCGrQ); what rounding alone tells from nothing, of right sides or of later residuals, is left out,
so that a matrix without full rank breaks nothing. It runs on
:math:`P^{-1/2} (G + r) P^{-1/2}`, with the Nystrom preconditioner

.. math::
    P^{-1} = (\lambda_k + r)\, U (\Lambda + r)^{-1} U^T + 1 - U U^T, \qquad
    G \approx F F^T = U \Lambda U^T,

of rank k (Frangella, Tropp and Udell, arXiv:2110.02820). F comes of k rows of G, drawn with odds
that are the diagonal of what is left to explain: randomly pivoted Cholesky (Chen, Epperly, Tropp
and Webber, arXiv:2207.06503).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from geocore.errors import UserError
from geocore.kernels.composed import Kernels
from geocore.kernels.protocol import PairKernel

__all__ = ["KernelRows", "MatrixRows", "Preconditioner", "Rows", "Solved", "pivoted", "solve"]

_ROUNDING = torch.finfo(torch.float64).eps
_RESTARTS = 4  # true residuals that are taken before a solution counts as out of reach


class Rows(Protocol):
    """A symmetric positive matrix that is known by its products; all float64."""

    @property
    def size(self) -> int: ...

    def diagonal(self) -> Tensor:
        """``(n,)``."""
        ...

    def rows(self, places: Tensor) -> Tensor:
        """``G[places]``: ``(k,)`` int64 -> ``(k, n)``."""
        ...

    def product(self, v: Tensor) -> Tensor:
        """``G v`` for ``v (n, m)``."""
        ...


@dataclass(frozen=True)
class MatrixRows:
    """A matrix, which may lie in a mapped file: read ``block`` rows at a time, whatever its dtype.

    Raises ``ValueError`` for what is not square.
    """

    matrix: Tensor
    block: int = 1024

    def __post_init__(self) -> None:
        shape = tuple(self.matrix.shape)
        if len(shape) != 2 or shape[0] != shape[1] or self.block < 1:
            raise ValueError(
                f"matrix has shape {shape}, block is {self.block}; expected (n, n), 1 or more"
            )

    @property
    def size(self) -> int:
        return len(self.matrix)

    def diagonal(self) -> Tensor:
        return self.matrix.diagonal().double()

    def rows(self, places: Tensor) -> Tensor:
        return self.matrix[places].double()

    def product(self, v: Tensor) -> Tensor:
        return torch.cat([rows.double() @ v for rows in self.matrix.split(self.block)])


@dataclass(frozen=True)
class KernelRows:
    """A kernel of samples ``x`` with themselves, of which each product computes half again.

    ``block`` samples a side at a time: memory holds one block. Raises ``ValueError`` for another
    ``kind`` and a block below 1.
    """

    kernel: PairKernel
    x: Tensor
    kind: Literal["ntk", "nngp"] = "ntk"
    block: int = 256

    def __post_init__(self) -> None:
        if self.kind not in ("ntk", "nngp") or self.block < 1:
            raise ValueError(
                f"kind is {self.kind!r}, block is {self.block}; expected 'ntk' or 'nngp', 1 or more"
            )

    @property
    def size(self) -> int:
        return len(self.x)

    def diagonal(self) -> Tensor:
        return self._of(self.kernel.diagonal(self.x))

    def rows(self, places: Tensor) -> Tensor:
        return self._of(self.kernel.kernel(self.x[places], self.x))

    def product(self, v: Tensor) -> Tensor:
        found = torch.zeros_like(v)
        for i, j in self._pairs():
            one, two = self.x[i], None if i == j else self.x[j]
            block = self._of(self.kernel.kernel(one, two))
            found[i] += block @ v[j]
            if i != j:
                found[j] += block.T @ v[i]
        return found

    def _of(self, kernels: Kernels) -> Tensor:
        return (kernels.ntk if self.kind == "ntk" else kernels.nngp).double()

    def _pairs(self) -> Iterator[tuple[slice, slice]]:
        for i in range(0, self.size, self.block):
            for j in range(0, i + 1, self.block):
                yield slice(i, i + self.block), slice(j, j + self.block)


@dataclass(frozen=True)
class Preconditioner:
    """``G ~ U diag(values) U^T``: ``vectors (n, k)`` orthonormal, ``values (k,)`` falling, above 0.

    ``P = U diag((values + r) / (values_k + r)) U^T + 1 - U U^T``; of rank 0 it is 1.
    """

    vectors: Tensor
    values: Tensor

    def root(self, v: Tensor, shift: float, power: float) -> Tensor:
        """``P^power v`` for ``v (n, m)``, ``r = shift``."""
        if not len(self.values):
            return v
        scale = ((self.values + shift) / (self.values[-1] + shift)) ** power
        return v + self.vectors @ ((scale - 1)[:, None] * (self.vectors.T @ v))


def pivoted(operator: Rows, rank: int, seed: int) -> Preconditioner:
    """Randomly pivoted Cholesky of at most ``rank`` rows, and its eigenvectors.

    Stops before where nothing is left but rounding. The same for equal seeds. Holds ``n rank``
    numbers and takes ``n rank^2`` steps beside the rows. Raises ``ValueError`` for a rank below 0
    or above n, and a diagonal with an entry below 0.
    """
    n = operator.size
    if not 0 <= rank <= n:
        raise ValueError(f"rank is {rank}; expected 0 to {n}, the size")
    left = operator.diagonal().clone()
    if not bool((left >= 0).all()):
        raise ValueError(f"the diagonal has an entry {float(left.min()):.3g}; expected 0 or more")
    # Draws on the CPU: the same on every device.
    draw = torch.Generator().manual_seed(seed)
    floor = float(left.sum()) * torch.finfo(torch.float64).eps
    factor, made = left.new_zeros(n, rank), 0
    while made < rank and float(left.sum()) > floor:
        odds = left.cpu().cumsum(0)
        at = float(torch.rand((), generator=draw, dtype=torch.float64)) * float(odds[-1])
        pivot = min(int(torch.searchsorted(odds, at, right=True)), n - 1)
        row = operator.rows(torch.tensor([pivot], device=left.device))[0]
        row = row - factor[:, :made] @ factor[pivot, :made]
        if not float(row[pivot]) > 0:  # rounding has left less than nothing
            left[pivot] = 0
            continue
        factor[:, made] = row / row[pivot].sqrt()
        left = (left - factor[:, made].square()).clamp(min=0)
        left[pivot] = 0
        made += 1
    if not made:
        return Preconditioner(factor[:, :0], left[:0])
    vectors, values, _ = torch.linalg.svd(factor[:, :made], full_matrices=False)
    values = values.square()
    kept = values > values[0] * torch.finfo(torch.float64).eps * n
    return Preconditioner(vectors[:, kept], values[kept])


@dataclass(frozen=True)
class Solved:
    """``solution (n, m)``; ``residuals (m,)``: ``|b - (G + r) x| / |b|``, computed at the end.

    ``products`` with the matrix were taken, each of all columns at once, ``history`` is the largest
    residual after each step; ``shift`` is what was added to the diagonal.
    """

    solution: Tensor
    residuals: Tensor
    products: int
    history: tuple[float, ...]
    shift: float


def solve(
    operator: Rows,
    right: Tensor,
    *,
    ridge: float = 0.0,
    preconditioner: Preconditioner | None = None,
    tolerance: float = 1e-10,
    limit: int = 1000,
    name: str = "the kernel",
) -> Solved:
    """``(G + ridge m)^-1 right``, with m the mean of the diagonal, as a ``Regressor`` has it.

    ``right (n, m)``, taken in float64. Stops where every column's residual, relative to its right
    side, is at most ``tolerance``, which is confirmed with a product of its own (rounding allows
    some 1e-16 of ``|G| |x| / |b|``). Raises ``ValueError`` for what is no such right side, numbers
    out of range and a preconditioner of another size; ``UserError``, calling the matrix ``name``,
    if it is not finite or not positive definite, and for columns that are still above the tolerance
    after ``limit`` products, with how many and how far.
    """
    if right.ndim != 2 or len(right) != operator.size or not bool(right.isfinite().all()):
        raise ValueError(
            f"right has shape {tuple(right.shape)}; expected finite ({operator.size}, m)"
        )
    if not (0 <= ridge < math.inf and tolerance > 0 and limit >= 1):
        raise ValueError(
            f"ridge, tolerance and limit are {ridge}, {tolerance} and {limit}; expected 0 or more, "
            "above 0, at least 1"
        )
    plain = Preconditioner(right[:, :0].double(), right[0, :0].double())
    near = preconditioner or plain
    if len(near.vectors) != operator.size:
        raise ValueError(
            f"preconditioner is of size {len(near.vectors)}; expected {operator.size}, the matrix's"
        )
    b = right.double()
    shift = ridge * (mean := float(operator.diagonal().mean()))
    if not math.isfinite(mean):
        raise UserError(f"{name} has a diagonal of mean {mean}; expected finite entries")
    if not b.shape[1]:
        return Solved(b, b.new_zeros(0), 0, (), shift)
    lengths = b.norm(dim=0)
    lengths = torch.where(lengths > 0, lengths, 1.0)
    x, residual, products = torch.zeros_like(b), b, 0
    history: list[float] = []
    for _ in range(_RESTARTS):
        run = _Run(operator, shift, near, name)
        moves, took = run(residual, lengths * tolerance, limit - products, lengths, history)
        x = x + moves
        residual = b - operator.product(x) - shift * x
        products += took + 1
        off = residual.norm(dim=0) / lengths
        if float(off.max()) <= tolerance:
            return Solved(x, off, products, tuple(history), shift)
        if products >= limit:
            break
    above = off > tolerance
    raise UserError(
        f"conjugate gradients on {name}: {int(above.sum())} of {len(off)} right sides are left "
        f"with a relative residual of up to {float(off.max()):.2g} after {products} products; "
        f"expected at most {tolerance:g}: try a larger ridge, rank, limit or tolerance"
    )


@dataclass(frozen=True)
class _Run:
    operator: Rows
    shift: float
    preconditioner: Preconditioner
    name: str

    def __call__(
        self, right: Tensor, wanted: Tensor, limit: int, lengths: Tensor, history: list[float]
    ) -> tuple[Tensor, int]:
        """Moves that leave a residual of ``wanted`` by the recursion, and products taken."""
        # Of columns of one length: none is small beside another.
        q, s = _orthonormal(self._root(right / lengths, -0.5), _ROUNDING * self.operator.size)
        s = s * lengths
        p, x, took = q, torch.zeros_like(right), 0
        while took < limit and q.shape[1]:
            applied = self._applied(p)
            took += 1
            inner = p.T @ applied
            step = self._inverse((inner + inner.T) / 2)
            x = x + p @ (step @ s)
            moved = applied @ step
            least = _ROUNDING * self.operator.size * max(1.0, float(moved.abs().max()))
            q, zeta = _orthonormal(q - moved, least, relative=False)
            s = zeta @ s
            off = self._root(q @ s, 0.5).norm(dim=0)
            history.append(float((off / lengths).max()))
            if bool((off <= wanted).all()):
                break
            p = q + p @ zeta.T
        return self._root(x, -0.5), took

    def _applied(self, p: Tensor) -> Tensor:
        v = self._root(p, -0.5)
        product = self.operator.product(v)
        if not bool(product.isfinite().all()):
            raise UserError(f"a product with {self.name} is not finite; expected finite entries")
        return self._root(product + self.shift * v, -0.5)

    def _root(self, v: Tensor, power: float) -> Tensor:
        return self.preconditioner.root(v, self.shift, power)

    def _inverse(self, inner: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(inner)
        eps = _ROUNDING * self.operator.size
        if not float(values[0]) > -eps * float(values[-1].abs()):
            raise UserError(
                f"{self.name} is not positive definite: conjugate gradients met a direction of "
                f"curvature {float(values[0]):.3g}; expected a larger ridge"
            )
        kept = values > eps * values[-1]
        inverse: Tensor = (vectors[:, kept] / values[kept]) @ vectors[:, kept].T
        return inverse


def _orthonormal(v: Tensor, least: float, relative: bool = True) -> tuple[Tensor, Tensor]:
    """``v = q s``, ``q`` orthonormal, without directions of a size up to ``least``.

    ``relative`` to the largest. ``v (n, m)`` -> ``(n, k)`` and ``(k, m)``, k up to n and m.
    """
    q, upper = torch.linalg.qr(v)
    left, sizes, right = torch.linalg.svd(upper, full_matrices=False)
    kept = sizes > least * (float(sizes[0]) if relative else 1.0)
    return q @ left[:, kept], sizes[kept, None] * right[kept]
