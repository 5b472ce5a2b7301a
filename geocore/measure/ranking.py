"""How well a score orders samples: the ROC curve's area, and risk against coverage with its area.

Only the order of the scores counts. Samples of equal scores count alike in whatever order they
come: a pair of them for half, and of a group that is kept in part an equal part each.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from geocore.measure.selective import accuracy_of_kept

__all__ = ["RiskCoverage", "auroc", "risk_coverage"]


def auroc(inside: Tensor, outside: Tensor) -> float:
    """``P(outside > inside) + 1/2 P(outside = inside)`` of a score of either sample.

    The area under the ROC curve of calling what scores high out of distribution: 1 if every
    outside sample scores above every inside one, 1/2 if the score says nothing. It is the
    Mann-Whitney statistic by mean ranks, computed in ``n log n``.

    ``inside (n,)`` and ``outside (m,)``, such as entropies, floats or integers; infinite ones are
    ordered too. Raises ``ValueError`` for an empty sample, another shape, and NaN. Source: Hanley
    and McNeil, Radiology 143 (1982).
    """
    for name, values in (("inside", inside), ("outside", outside)):
        _check_scores(name, values)
    ordered = inside.double().sort().values
    scores = outside.double().contiguous()
    below = torch.searchsorted(ordered, scores).sum()
    not_above = torch.searchsorted(ordered, scores, right=True).sum()
    return int(below + not_above) / (2 * len(inside) * len(outside))


@dataclass(frozen=True)
class RiskCoverage:
    """A risk-coverage curve at the ``n`` coverages ``k / n``; both fields ``(n,)`` float64.

    ``risk[k - 1]`` is the share of errors among the ``k`` samples of least uncertainty.
    """

    coverage: Tensor
    risk: Tensor

    @property
    def area(self) -> float:
        """``AURC = (1/n) sum_k risk_k``: what uncertainty of no use makes the error rate itself.

        Source: Geifman, Uziel and El-Yaniv, arXiv:1805.08206.
        """
        return float(self.risk.mean())

    @property
    def excess(self) -> float:
        """``AURC`` less that of the perfect order, which keeps every right sample before a wrong
        one: at least 0. Source: the same paper, there with an integral for the perfect order's sum.
        """
        right = round((1 - float(self.risk[-1])) * len(self.risk))
        wrong = torch.arange(1, len(self.risk) + 1 - right, dtype=torch.float64)
        return self.area - float((wrong / (right + wrong)).sum()) / len(self.risk)


def risk_coverage(uncertainty: Tensor, correct: Tensor) -> RiskCoverage:
    """``1 - accuracy_of_kept`` at every coverage ``k / n``, with its convention for ties.

    ``uncertainty (n,)``, ``correct (n,)`` bool -> a curve of ``n`` points on the same device, whose
    last risk is the error rate. Raises ``ValueError`` or ``TypeError`` as ``accuracy_of_kept``.
    Source: El-Yaniv and Wiener (2010).
    """
    count = len(correct) if correct.ndim else 0
    coverage = torch.arange(1, count + 1, dtype=torch.float64) / max(count, 1)
    kept = accuracy_of_kept(uncertainty.cpu(), correct.cpu(), coverage)
    # Interpolation inside a sample leaves some 1e-16 beyond an accuracy of 0 or 1.
    risk = (1 - kept).clamp(0, 1)
    return RiskCoverage(coverage.to(correct.device), risk.to(correct.device))


def _check_scores(name: str, values: Tensor) -> None:
    if values.ndim != 1 or len(values) == 0 or values.is_complex():
        found = f"{values.dtype} of shape {tuple(values.shape)}"
        raise ValueError(f"{name} is {found}; expected real numbers (n,), at least one")
    if bool(values.isnan().any()):
        raise ValueError(f"{name} holds NaN; expected numbers that can be ordered")
