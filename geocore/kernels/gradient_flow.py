r"""What an infinitely wide network says at any time of its training, and how its starts differ.

Training by gradient flow on the *mean* loss over the n training samples, with the rate eta,

.. math::
    \mathcal L = \frac{1}{2 n} \sum_{i = 1}^n |f(x_i) - y_i|^2, \qquad
    \dot\theta = -\eta \nabla_\theta \mathcal L, \qquad
    \dot f_t(x) = -\frac{\eta}{n}\, \Theta(x, X)\, (f_t(X) - y),

where the square sums over outputs and is not divided by their number. With the NNGP K and the
constant tangent kernel Theta, from a random start f_0,

.. math::
    f_t(x) = f_0(x) + A_t (y - f_0(X)), \qquad
    A_t = \Theta(x, X)\, \Theta^{-1} (1 - e^{-\eta t \Theta / n}).

So gradient descent with ``torch.nn.MSELoss`` on d outputs, whose loss is 2 / d of this one, has
after k steps of size h come to ``eta t = 2 h k / d``, if steps are small. Over starts f_0 is a
Gaussian process of mean 0 and covariance K, the same for each output: then f_t has the mean A_t y
and the covariance

.. math::
    K(x, x') - A_t K(X, x') - K(x, X) A_t'^T + A_t K(X, X) A_t'^T.

A *centred* network, ``f_t - f_0``, has the same mean and no covariance. With a ridge r the loss
holds ``r / (2 n) |theta - theta_0|^2`` too; then ``A_t = Theta(x, X) phi_t(Theta)`` with
``phi_t(l) = (1 - exp(-eta t (l + r) / n)) / (l + r)``. Source: Lee et al., arXiv:1902.06720,
eqs. 14 to 16, where the loss is the sum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from geocore.errors import UserError
from geocore.kernels.protocol import PairKernel

__all__ = ["FlowEnsemble", "GradientFlow", "KernelPredictor"]

# How negative an eigenvalue may be, over the mean diagonal: what a ``Regressor`` would mend.
_NEGATIVE = {torch.float32: 1e-3, torch.float64: 1e-6}


@dataclass(frozen=True)
class FlowEnsemble:
    """Over random starts: ``mean (times, m, outputs)``, and of each output the ``covariance``.

    That is ``(times, m, m)``, or ``None`` where only the variance was asked for, ``variance
    (times, m)``; outputs are independent of each other and alike. float64.
    """

    mean: Tensor
    variance: Tensor
    covariance: Tensor | None = None


@dataclass(frozen=True)
class GradientFlow:
    """``Theta = V diag(eigenvalues) V^T``, from which the flow is known at all times.

    float64 whatever the kernel was: ``exp(-t l)`` is of a spectrum over many decades. Directions
    whose eigenvalue is 0 to rounding (of which the most negative one tells too) never move: there
    ``Theta(x, X) v`` is noise, which an endless time would multiply without bound. ``frozen`` is
    their number; where it is an eigenvalue below 0 that has frozen them, ``reason`` says so.
    """

    eigenvalues: Tensor  # (n,), rising, without the ridge
    vectors: Tensor  # (n, n), columns
    ridge: float  # what was added to the diagonal
    cut: float  # eigenvalues up to this are 0
    samples: int  # n of the mean loss
    rate: float
    start: Tensor | None = None  # V^T K(X, X) V
    reason: str | None = None  # None for a kernel that is positive semidefinite to rounding

    @property
    def frozen(self) -> int:
        """Directions that never move: eigenvalues, with the ridge, of up to ``cut``."""
        return int((~self._moves()).sum())

    @classmethod
    def of(
        cls,
        gram: Tensor,
        *,
        nngp: Tensor | None = None,
        ridge: float = 0.0,
        rate: float = 1.0,
        samples: int | None = None,
        name: str = "gram",
    ) -> GradientFlow:
        """Of the tangent kernel ``gram (n, n)``, or of any kernel, float32 or float64, symmetric.

        ``nngp (n, n)`` is the covariance of starts, which ``ensemble`` and ``training`` ask for
        covariances. ``ridge`` is in units of the mean of the diagonal, as in ``Regressor``.
        ``samples`` is what the loss is the mean over, if not the rows (where each sample has
        several). Raises ``ValueError`` for what is no such matrix and numbers out of range, and
        ``UserError`` calling it ``name`` for entries that are not finite and for an eigenvalue that
        is negative by more than a ``Regressor`` would mend.
        """
        square = gram.ndim == 2 and gram.shape[0] == gram.shape[1] and len(gram) > 0
        if not square or gram.dtype not in _NEGATIVE:
            found = f"{gram.dtype} of shape {tuple(gram.shape)}"
            raise ValueError(f"gram is {found}; expected float64 or float32 (n, n)")
        if nngp is not None and nngp.shape != gram.shape:
            found = f"{tuple(nngp.shape)}"
            raise ValueError(f"nngp has shape {found}; expected {tuple(gram.shape)} as gram has")
        samples = len(gram) if samples is None else samples
        if not (0 <= ridge < math.inf and 0 < rate < math.inf and samples > 0):
            found = f"{ridge}, {rate} and {samples}"
            raise ValueError(
                f"ridge, rate and samples are {found}; expected 0 or more, and more than 0 of "
                "both, finite"
            )
        for kernel, called in ((gram, name), (nngp, "the NNGP of the starts")):
            if kernel is not None and not math.isfinite(total := float(kernel.double().sum())):
                raise UserError(
                    f"{called} has entries that add up to {total}; expected finite ones"
                )
        values, vectors = torch.linalg.eigh(gram.double())
        largest = float(values.abs().max())
        mean = float(gram.diagonal().double().mean())
        least, most = float(values[0]), _NEGATIVE[gram.dtype] * abs(mean)
        if least < -most:
            raise UserError(
                f"{name} has an eigenvalue {least:.3g} beside {largest:.3g}; expected none below "
                f"-{most:.3g}, as of a kernel and its rounding"
            )
        eps = max(torch.finfo(torch.float64).eps * len(gram), torch.finfo(gram.dtype).eps)
        noise = eps * largest
        cut, added = max(noise, -least), ridge * mean
        turned = None if nngp is None else vectors.T @ nngp.double() @ vectors
        flow = cls(values, vectors, added, cut, samples, rate, turned)
        if least < -noise:
            reason = (
                f"{name} is not positive semidefinite to rounding: an eigenvalue is {least:.3g} "
                f"beside {largest:.3g}; {flow.frozen} of {len(gram)} directions, of eigenvalues up "
                f"to {cut:.3g}, never move"
            )
            flow = replace(flow, reason=reason)
        return flow

    def times(self, count: int = 5) -> list[float]:
        """``count`` times from when the first direction moves to when the last one has.

        Geometric from ``n / (rate l_max)`` to ``n / (rate l_min)``.
        """
        moving = (self.eigenvalues + self.ridge)[self._moves()]
        if count < 2 or not len(moving):
            raise ValueError(f"count is {count}; expected at least 2, of a kernel that is not 0")
        first, last = (self.samples / (self.rate * float(moving[end])) for end in (-1, 0))
        return [first * (last / first) ** (k / (count - 1)) for k in range(count)]

    def weights(self, cross: Tensor, time: float) -> Tensor:
        """``A_t = Theta(x, X) phi_t(Theta)``: ``cross (m, n)`` -> ``(m, n)``, float64."""
        self._check(cross, [time])
        return ((cross.double() @ self.vectors) * self._phi(time)) @ self.vectors.T

    def trained(
        self,
        cross: Tensor,
        y: Tensor,
        times: Sequence[float],
        *,
        start: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """``f_0(x) + A_t (y - f_0(X))``: from one start, ``(times, m, outputs)``.

        ``cross (m, n)`` the tangent kernel of what is asked against the training samples, ``y (n,
        outputs)``; ``start`` is ``(f_0(X), f_0(x))``. Without it that of a centred network, which
        is the mean over starts too. ``times`` from 0 to ``inf``; at 0 it is the start. Raises
        ``ValueError`` for other times and shapes.
        """
        self._check(cross, times, y)
        y = y.double() if start is None else y.double() - start[0].double()
        across, turned = cross.double() @ self.vectors, self.vectors.T @ y
        found = torch.stack([(across * self._phi(time)) @ turned for time in times])
        return found if start is None else found + start[1].double()

    def ensemble(
        self, cross: Tensor, y: Tensor, times: Sequence[float], *, nngp_cross: Tensor, prior: Tensor
    ) -> FlowEnsemble:
        """Mean and covariance over starts, where ``cross (m, n)`` is asked.

        ``nngp_cross (m, n)`` is the NNGP against the training samples, ``prior`` that of what is
        asked with itself: ``(m, m)`` for covariances, ``(m,)`` for variances alone. At 0 that is
        the prior; at ``inf`` it is ``ensemble_limit``. To ask at training samples and others
        together, give rows of both. Raises ``ValueError`` as ``trained`` does, and for a flow
        without the NNGP.
        """
        mean = self.trained(cross, y, times)
        start, count = self._start(), len(cross)
        if nngp_cross.shape != cross.shape or prior.shape not in ((count,), (count, count)):
            raise ValueError(
                f"nngp_cross and prior have shapes {tuple(nngp_cross.shape)} and "
                f"{tuple(prior.shape)}; expected {tuple(cross.shape)}, and ({count},) or "
                f"({count}, {count})"
            )
        across, along = cross.double() @ self.vectors, nngp_cross.double() @ self.vectors
        full, own = prior.ndim == 2, prior.double()
        found = []
        for time in times:
            a = across * self._phi(time)
            if full:
                mixed = a @ along.T
                found.append(own - mixed - mixed.T + a @ start @ a.T)
            else:
                found.append(own + ((a @ start - 2 * along) * a).sum(dim=1))
        return _spread(mean, torch.stack(found), full)

    def training(self, y: Tensor, times: Sequence[float], *, full: bool = True) -> FlowEnsemble:
        """The same at the training samples, without cancellation: ``D = exp(-rate t Theta / n)``.

        ``(1 - D) y`` and ``D K D^T``; with a ridge ``D`` ends at ``r / (Theta + r)``, not at 0.
        """
        self._check(self.vectors, times, y)
        start, vectors, turned = self._start(), self.vectors, self.vectors.T @ y.double()
        means, found = [], []
        for time in times:
            gone = self.eigenvalues.clamp(min=0) * self._phi(time)
            left = self._left(time)
            means.append((vectors * gone) @ turned)
            if full:
                decayed = vectors * left
                found.append(decayed @ start @ decayed.T)
            else:
                decayed = vectors * left
                found.append(((decayed @ start) * decayed).sum(dim=1))
        return _spread(torch.stack(means), torch.stack(found), full)

    def _moves(self) -> Tensor:
        return self.eigenvalues + self.ridge > self.cut

    def _phi(self, time: float) -> Tensor:
        """``(1 - exp(-s l)) / l`` at ``l = eigenvalue + ridge``, by ``expm1``: ``s`` if s l is
        small. 0 where nothing moves.
        """
        scale, moves = self.rate * time / self.samples, self._moves()
        l = torch.where(moves, self.eigenvalues + self.ridge, 1.0)
        return torch.where(moves, -torch.expm1(-scale * l) / l, 0.0)

    def _left(self, time: float) -> Tensor:
        """``1 - l phi_t(l)``: what is left of the start."""
        scale, moves = self.rate * time / self.samples, self._moves()
        l = torch.where(moves, self.eigenvalues + self.ridge, 1.0)
        left = self.ridge / l + (1 - self.ridge / l) * torch.exp(-scale * l)
        return torch.where(moves, left, 1.0)

    def _start(self) -> Tensor:
        if self.start is None:
            raise ValueError("nngp is None; expected the NNGP in GradientFlow.of for covariances")
        return self.start

    def _check(self, cross: Tensor, times: Sequence[float], y: Tensor | None = None) -> None:
        count = len(self.eigenvalues)
        if cross.ndim != 2 or cross.shape[1] != count:
            raise ValueError(f"cross has shape {tuple(cross.shape)}; expected (m, {count})")
        if y is not None and (y.ndim != 2 or len(y) != count):
            raise ValueError(f"y has shape {tuple(y.shape)}; expected ({count}, outputs)")
        if not times or any(math.isnan(time) or time < 0 for time in times):
            raise ValueError(f"times is {list(times)}; expected at least one, from 0 to inf")


@dataclass(frozen=True)
class KernelPredictor:
    """A kernel's flow on training samples ``x (n, ...)`` with targets ``y (n, outputs)``."""

    kernel: PairKernel
    x: Tensor
    y: Tensor
    flow: GradientFlow
    kind: Literal["ntk", "nngp"] = "ntk"

    @classmethod
    def of(
        cls,
        kernel: PairKernel,
        x: Tensor,
        y: Tensor,
        *,
        kind: Literal["ntk", "nngp"] = "ntk",
        ridge: float = 0.0,
        rate: float = 1.0,
    ) -> KernelPredictor:
        """``kind``: all weights are trained (``ntk``), or those of the read-out (``nngp``).

        Raises ``ValueError`` for another kind, other numbers of samples and targets, and what the
        kernel does not take; ``UserError`` as ``GradientFlow.of`` does.
        """
        if kind not in ("ntk", "nngp"):
            raise ValueError(f"kind is {kind!r}; expected 'ntk' or 'nngp'")
        if y.ndim != 2 or len(y) != len(x):
            raise ValueError(f"y has shape {tuple(y.shape)}; expected ({len(x)}, outputs)")
        grams = kernel.kernel(x)
        named = f"the {kind} of the {len(x)} training samples"
        flow = GradientFlow.of(
            getattr(grams, kind), nngp=grams.nngp, ridge=ridge, rate=rate, name=named
        )
        return cls(kernel, x, y, flow, kind)

    def mean(self, asked: Tensor, times: Sequence[float]) -> Tensor:
        """The mean over starts at ``asked (m, ...)``: ``(times, m, outputs)``."""
        cross = getattr(self.kernel.kernel(asked, self.x), self.kind)
        return self.flow.trained(cross, self.y, times)

    def ensemble(self, asked: Tensor, times: Sequence[float], *, full: bool = True) -> FlowEnsemble:
        """Mean and covariance over starts; with ``full=False`` variances alone."""
        cross = self.kernel.kernel(asked, self.x)
        prior = self.kernel.kernel(asked) if full else self.kernel.diagonal(asked)
        return self.flow.ensemble(
            getattr(cross, self.kind), self.y, times, nngp_cross=cross.nngp, prior=prior.nngp
        )


def _spread(mean: Tensor, found: Tensor, full: bool) -> FlowEnsemble:
    if not full:
        return FlowEnsemble(mean, found.clamp(min=0))
    return FlowEnsemble(mean, found.diagonal(dim1=1, dim2=2).clamp(min=0), found)
