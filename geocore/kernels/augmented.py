r"""Infinitely wide ensembles trained under full augmentation: the theorem, and finite ensembles.

What learns from all moved samples (g x_i, rho(g) y_i) is in the mean over starts equivariant at
every time and everywhere, and is the symmetrised kernel's predictor: ``check_theorem`` computes
both sides, and what learns from the samples alone beside them.

A single network is not equivariant, for its start is not. M of them, drawn independently, have a
mean whose square deviation over the orbit of an input is in expectation

.. math:: \mathrm E\, d_M^2 = b^2 + v / M,

b the deviation of the mean over all starts (0 under augmentation) and v the variance over starts of
what deviates: ``orbit_deviation_limit`` has both at any time. Deviations are as in
``geocore.measure.orbit``. Sources: Gerken and Kessel, arXiv:2403.03103; Lee et al.,
arXiv:1902.06720, eqs. 14 to 16.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from geocore.groups.orbit import orbit
from geocore.kernels.gradient_flow import GradientFlow, KernelPredictor
from geocore.kernels.protocol import PairKernel
from geocore.kernels.symmetrised import EquivariantKernel, SymmetrisedKernel, joint_deviation
from geocore.measure.orbit import orbit_deviation, pulled_back
from geocore.testing import Group

__all__ = [
    "OrbitLimit",
    "TheoremReport",
    "augmented_predictor",
    "check_theorem",
    "orbit_deviation_limit",
    "symmetrised_mean",
]

Kind = Literal["ntk", "nngp"]


def augmented_predictor(
    kernel: PairKernel,
    group: Group,
    x: Tensor,
    y: Tensor,
    *,
    matrices: Tensor | None = None,
    kind: Kind = "ntk",
    rate: float = 1.0,
) -> KernelPredictor:
    """Learns from all ``(g x_i, rho(g) y_i)``, ``|G| n`` samples, on the mean loss over these.

    ``x (n, ...)``, ``y (n, outputs)``, ``matrices (order, outputs, outputs)`` the rho(g) in the
    group's order, without which targets are invariant. Raises ``ValueError`` as ``orbit`` does, and
    for other shapes.
    """
    moved = orbit(group, x)
    if matrices is None:
        followed = y.expand(len(moved), *y.shape)
    else:
        _check(matrices, len(moved), y)
        followed = torch.einsum("gab,nb->gna", matrices.to(y), y)
    return KernelPredictor.of(
        kernel, moved.flatten(0, 1), followed.flatten(0, 1), kind=kind, rate=rate
    )


def symmetrised_mean(
    kernel: PairKernel,
    group: Group,
    x: Tensor,
    y: Tensor,
    asked: Tensor,
    times: Sequence[float],
    *,
    matrices: Tensor | None = None,
    kind: Kind = "ntk",
    rate: float = 1.0,
    tolerance: float | None = None,
) -> Tensor:
    """The symmetrised kernel's mean at ``asked (m, ...)``, from the n samples alone.

    ``(times, m, outputs)``. The other side of the theorem: see ``augmented_predictor``.
    ``tolerance`` is that of ``SymmetrisedKernel``.
    """
    if matrices is None:
        symmetric = SymmetrisedKernel(kernel, group, tolerance=tolerance)
        return KernelPredictor.of(symmetric, x, y, kind=kind, rate=rate).mean(asked, times)
    _check(matrices, len(orbit(group, x[:1])), y)
    whole = EquivariantKernel(kernel, group, matrices, tolerance)
    gram, cross = (getattr(whole.kernel(*both), kind) for both in ((x,), (asked, x)))
    flow = GradientFlow.of(gram, rate=rate, samples=len(x), name=f"the symmetrised {kind}")
    return flow.trained(cross, y.reshape(-1, 1), times).view(len(times), len(asked), -1)


@dataclass(frozen=True)
class TheoremReport:
    """Both sides of the theorem, at each of ``times``: largest differences over the root mean
    square of the symmetrised predictor's answers to what is asked.

    ``on`` and ``off`` the training samples: the augmented against the symmetrised predictor.
    ``control``: what learns from the samples alone, against the latter, off them. ``orbit``: the
    largest orbit deviation of the augmented mean, of the symmetrised and of the control.
    ``joint``: how far the kernel is from what the theorem asks (``joint_deviation``).
    """

    times: tuple[float, ...]
    joint: float
    on: tuple[float, ...]
    off: tuple[float, ...]
    control: tuple[float, ...]
    orbit_augmented: tuple[float, ...]
    orbit_symmetrised: tuple[float, ...]
    orbit_control: tuple[float, ...]

    @property
    def disagreement(self) -> float:
        """The largest of ``on``, ``off`` and both sides' orbit deviations: 0 to rounding.

        NaN where one of them is, which is at most no tolerance.
        """
        every = (*self.on, *self.off, *self.orbit_augmented, *self.orbit_symmetrised)
        return math.nan if any(map(math.isnan, every)) else max(every)

    @property
    def contrast(self) -> float:
        """The least of ``control`` and its orbit deviations: what a failure looks like.

        NaN where one of them is, which is above no bound.
        """
        every = (*self.control, *self.orbit_control)
        return math.nan if any(map(math.isnan, every)) else min(every)

    def holds(self, tolerance: float = 1e-8) -> bool:
        """Both sides agree to the tolerance, and the control is off by 1e3 times as much.

        Not so where a figure is NaN.
        """
        alike = (*self.on, *self.off, *self.orbit_augmented, *self.orbit_symmetrised)
        apart = (*self.control, *self.orbit_control)
        return all(v <= tolerance for v in alike) and all(v > 1e3 * tolerance for v in apart)


def check_theorem(
    kernel: PairKernel,
    group: Group,
    x: Tensor,
    y: Tensor,
    asked: Tensor,
    times: Sequence[float] | None = None,
    *,
    matrices: Tensor | None = None,
    kind: Kind = "ntk",
) -> TheoremReport:
    """Train on all moved samples, and with the symmetrised kernel on the samples alone; compare.

    ``x (n, ...)``, ``y (n, outputs)``, ``asked (m, ...)`` off the data, float64 for a tolerance of
    1e-8; ``times`` of a rate of 1 on the mean loss, by default five over the augmented kernel's
    spectrum. The largest matrix has ``(|G| n)^2`` entries. ``matrices``: see
    ``augmented_predictor``. Raises ``ValueError`` as that does.
    """
    augmented = augmented_predictor(kernel, group, x, y, matrices=matrices, kind=kind)
    alone = KernelPredictor.of(kernel, x, y, kind=kind)
    times = augmented.flow.times(5) if times is None else list(times)
    images = orbit(group, asked)
    order, count = images.shape[:2]
    everything = torch.cat([images.flatten(0, 1), x])
    sides = [
        augmented.mean(everything, times),
        symmetrised_mean(  # whatever the kernel is: the report tells
            kernel, group, x, y, everything, times, matrices=matrices, kind=kind,
            tolerance=math.inf,
        ),
        alone.mean(everything, times),
    ]  # fmt: skip
    scale = sides[1][:, :count].square().mean(dim=(1, 2)).sqrt()
    if not bool((scale > 0).all()):
        raise ValueError("a predictor is 0 at one of the times; expected times above 0, targets")

    def apart(one: Tensor, two: Tensor) -> tuple[float, ...]:
        return tuple(((one - two).abs().amax(dim=(1, 2)) / scale).tolist())

    def over_orbit(side: Tensor) -> tuple[float, ...]:
        answers = side[:, : order * count].unflatten(1, (order, count))
        largest = [float(orbit_deviation(_pulled(a, matrices)).max()) for a in answers]
        return tuple((torch.tensor(largest, dtype=torch.float64).to(scale) / scale).tolist())

    own = slice(order * count, None)
    return TheoremReport(
        tuple(times),
        joint_deviation(kernel, group, asked),
        apart(sides[0][:, own], sides[1][:, own]),
        apart(sides[0][:, :count], sides[1][:, :count]),
        apart(sides[2][:, :count], sides[1][:, :count]),
        *(over_orbit(side) for side in sides),
    )


@dataclass(frozen=True)
class OrbitLimit:
    """``bias (times, m)``: the orbit deviation of the mean over all starts at each of m inputs.
    ``variance (times, m)``: what one start adds to its square in expectation.
    """

    times: tuple[float, ...]
    bias: Tensor
    variance: Tensor

    def deviation(self, members: int) -> Tensor:
        """``sqrt(mean_i (bias_i^2 + variance_i / M))`` of a mean over M members: ``(times,)``.

        What ``orbit_deviation`` of such a mean is, in the root of the mean square over inputs.
        Raises ``ValueError`` for no members.
        """
        if members < 1:
            raise ValueError(f"members is {members}; expected at least 1")
        return (self.bias.square() + self.variance / members).mean(dim=1).sqrt()


def orbit_deviation_limit(
    predictor: KernelPredictor,
    group: Group,
    asked: Tensor,
    times: Sequence[float],
    *,
    matrices: Tensor | None = None,
) -> OrbitLimit:
    """How far means of infinitely wide networks are from equivariance at ``asked (m, ...)``.

    With C the covariance over starts between the elements g, h of an input's orbit, of each of d
    outputs, ``variance = d / |G| sum_g C_gg - 1 / |G|^2 sum_gh C_gh tr(rho(g) rho(h)^T)``. The
    predictor says what is learned from: ``augmented_predictor``, or ``KernelPredictor.of`` the
    samples alone. ``matrices`` are the orthogonal rho(g), without which outputs are invariant.
    """
    images = orbit(group, asked)
    order, outputs = len(images), predictor.y.shape[1]
    turns = torch.full((order, order), float(outputs), dtype=torch.float64)
    if matrices is not None:
        _check(matrices, order, predictor.y)
        wide = matrices.double().flatten(1)
        turns = wide @ wide.T
    cross = predictor.kernel.kernel(images.flatten(0, 1), predictor.x)
    trained, starts = (k.unflatten(0, images.shape[:2]) for k in (
        getattr(cross, predictor.kind), cross.nngp
    ))  # fmt: skip
    biases, variances = [], []
    for place in range(len(asked)):
        found = predictor.flow.ensemble(
            trained[:, place], predictor.y, times, nngp_cross=starts[:, place],
            prior=predictor.kernel.kernel(images[:, place].contiguous()).nngp,
        )  # fmt: skip
        means = found.mean.movedim(0, 1)  # (order, times, outputs)
        biases.append(orbit_deviation(_pulled(means, matrices)))
        spread = found.covariance
        assert spread is not None  # for the prior is a matrix
        own = outputs * spread.diagonal(dim1=1, dim2=2).mean(dim=1)
        variances.append((own - (spread * turns.to(spread)).mean(dim=(1, 2))).clamp(min=0))
    return OrbitLimit(tuple(times), torch.stack(biases, dim=1), torch.stack(variances, dim=1))


def _pulled(answers: Tensor, matrices: Tensor | None) -> Tensor:
    return answers if matrices is None else pulled_back(answers, matrices)


def _check(matrices: Tensor, order: int, y: Tensor) -> None:
    expected = (order, y.shape[1], y.shape[1])
    if matrices.shape != expected:
        raise ValueError(f"matrices has shape {tuple(matrices.shape)}; expected {expected}")
