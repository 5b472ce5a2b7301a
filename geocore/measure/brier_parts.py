"""What a Brier score is made of: calibration, what forecasts tell apart, what nobody knows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from geocore.measure.classification import brier

__all__ = ["BrierParts", "brier_parts"]


@dataclass(frozen=True)
class BrierParts:
    """``score = reliability - resolution + uncertainty + within``, the mean Brier score.

    ``reliability >= 0`` is the cost of forecasts that do not say what then happens (0 if
    calibrated), ``resolution >= 0`` the gain of forecasts that tell samples apart, ``uncertainty``
    that of the labels themselves. ``within`` is what a group's forecasts differ by: 0 if each
    group has one forecast.
    """

    reliability: float
    resolution: float
    uncertainty: float
    within: float

    @property
    def score(self) -> float:
        """The mean over samples of ``sum_c (p_c - [c = label])^2``, from 0 to 2."""
        return self.reliability - self.resolution + self.uncertainty + self.within


def brier_parts(probabilities: Tensor, labels: Tensor, bins: int = 15) -> BrierParts:
    """Murphy's three terms of samples in groups ``k`` of mean forecast ``p_k`` and mean outcome
    ``o_k`` (both vectors over the classes), weights ``w_k = n_k / n``, and what grouping leaves::

        reliability = sum_k w_k |p_k - o_k|^2      resolution = sum_k w_k |o_k - o|^2
        uncertainty = 1 - |o|^2
        within = (1/n) sum_i |p_i - p_k(i)|^2 - (2/n) sum_i (p_i - p_k(i)) . (y_i - o_k(i))

    with ``y_i`` the label as a unit vector and ``o`` the mean of all. The sum is the Brier score
    exactly, whatever the groups. A group holds the samples of one predicted class whose largest
    probability falls in one of ``bins`` bins of equal width, closed on the right as those of
    ``reliability``.

    ``probabilities (n, classes)``, ``labels (n,)`` int64. Raises ``ValueError`` for other shapes,
    for what is no distribution, and for fewer than one bin. Sources: Murphy, J. Appl. Meteorol. 12
    (1973); for ``within`` Stephenson, Coelho and Jolliffe, Weather Forecast. 23 (2008).
    """
    brier(probabilities, labels)  # refuses what are no probabilities and labels
    if bins < 1:
        raise ValueError(f"bins is {bins}; expected at least 1")
    forecasts = probabilities.double()
    classes = forecasts.shape[1]
    outcomes = F.one_hot(labels, classes).double()
    confidence, predicted = forecasts.max(dim=1)
    edges = torch.arange(1, bins, dtype=torch.float64, device=forecasts.device) / bins
    group = predicted * bins + torch.bucketize(confidence, edges)
    _, place, sizes = torch.unique(group, return_inverse=True, return_counts=True)

    def mean_by_group(values: Tensor) -> Tensor:
        sums = values.new_zeros(len(sizes), classes).index_add_(0, place, values)
        means: Tensor = sums / sizes[:, None]
        return means

    forecast, outcome = mean_by_group(forecasts), mean_by_group(outcomes)
    overall, weights = outcomes.mean(dim=0), sizes.double() / len(labels)
    off, noise = forecasts - forecast[place], outcomes - outcome[place]
    return BrierParts(
        reliability=float((weights * (forecast - outcome).square().sum(dim=1)).sum()),
        resolution=float((weights * (outcome - overall).square().sum(dim=1)).sum()),
        uncertainty=float(1 - overall.square().sum()),
        within=float((off.square() - 2 * off * noise).sum(dim=1).mean()),
    )
