"""How far the mean of ``m`` members is from equivariance, for growing ``m``: figures and their law.

If the mean over all seeds is equivariant, the mean of ``m`` members deviates by ``sigma / sqrt(m)``
in the root of the mean square, at every step, since they are independent: slope -1/2 of log
deviation against log ``m``. If it is not, by ``sqrt(limit^2 + sigma^2 / m)``: a plateau.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from geocore.measure.orbit import (
    orbit_deviation,
    relative_deviation,
    same_prediction,
    symmetrised_kl,
)

__all__ = ["OrbitFigures", "closed_deviation", "excess", "limit", "measured", "sizes", "slope"]


@dataclass(frozen=True)
class OrbitFigures:
    """Of means over ``members``: each figure is one over questions and disjoint sets of members.

    ``deviation``: root of the mean square of the orbit deviation. ``relative``: median of
    deviation over length, of numbers. Of classes ``osp`` and ``symmetrised_kl``: means, of the mean
    of logits, which the theorem is about; ``osp_probabilities``: of the mean of probabilities.
    """

    members: int
    deviation: float
    relative: float | None = None
    osp: float | None = None
    osp_probabilities: float | None = None
    symmetrised_kl: float | None = None


def sizes(members: int) -> list[int]:
    """``1, 4, 16, ...`` up to ``members``, which is the last.

    >>> sizes(100)
    [1, 4, 16, 64, 100]
    """
    found = [4**k for k in range(16) if 4**k < members]
    return [*found, members]


def measured(answers: Tensor, size: int, classes: bool) -> OrbitFigures:
    """Of means over ``size`` members, all disjoint sets of them in order.

    ``answers (members, order, questions, outputs)``, pulled back where outputs transform; the
    identity first. Raises ``ValueError`` for a size above the members.
    """
    members = len(answers)
    if not 1 <= size <= members:
        raise ValueError(f"size is {size}; expected 1 to the {members} members")
    count = members // size
    kept = answers[: count * size].double().unflatten(0, (count, size))
    # Sets of members stand beside the questions: all of a set's figures are means over both.
    means = kept.mean(1).movedim(0, 1).flatten(1, 2)
    deviation = float(orbit_deviation(means).square().mean().sqrt())
    if not classes:
        return OrbitFigures(size, deviation, float(relative_deviation(means).median()))
    mixed = kept.softmax(-1).mean(1).movedim(0, 1).flatten(1, 2)
    return OrbitFigures(
        size,
        deviation,
        osp=float(same_prediction(means).double().mean()),
        osp_probabilities=float(same_prediction(mixed).double().mean()),
        symmetrised_kl=float(symmetrised_kl(means).mean()),
    )


def slope(members: Sequence[int], deviations: Sequence[float]) -> float | None:
    """Least squares of log deviation on log members; None where fewer than two are above 0.

    >>> round(slope([1, 4, 16], [1.0, 0.5, 0.25]), 6)
    -0.5
    """
    pairs = [(math.log(m), math.log(d)) for m, d in zip(members, deviations, strict=True) if d > 0]
    if len(pairs) < 2:
        return None
    x, y = (torch.tensor(values, dtype=torch.float64) for values in zip(*pairs, strict=True))
    x = x - x.mean()
    return float((x * y).sum() / x.square().sum())


def excess(members: Sequence[int], deviations: Sequence[float]) -> float | None:
    """The last deviation over ``M^(-1/2)`` times that of one member: 1 by the law.

    A plateau is an excess above 3. None where one member deviates by nothing.
    """
    first, last = deviations[0], deviations[-1]
    return last * math.sqrt(members[-1] / members[0]) / first if first > 0 else None


def limit(members: Sequence[int], deviations: Sequence[float]) -> float:
    """The deviation of infinitely many: root of ``(M d_M^2 - d_1^2) / (M - 1)``, 0 if negative.

    The square is what the square of ``d_m`` tends to, without bias, if ``d_m^2 = a + b / m``.
    """
    one, many = members[0], members[-1]
    square = (many * deviations[-1] ** 2 - one * deviations[0] ** 2) / (many - one)
    return math.sqrt(max(0.0, square))


def closed_deviation(answers: Tensor) -> float:
    """The largest orbit deviation of the mean over members, over the root mean square output.

    ``answers (members, order, questions, outputs)``, pulled back.
    """
    means = answers.double().mean(0)
    return float(orbit_deviation(means).max() / means.square().mean().sqrt())
