"""Whether confidence is what it says: reliability tables and the expected calibration error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

__all__ = ["Reliability", "ReliabilityCounts", "calibration_error", "reliability"]

Binning = Literal["width", "mass"]


@dataclass(frozen=True)
class Reliability:
    """A reliability table; every field is ``(bins,)``.

    ``lower`` and ``upper`` bound each bin's confidences, ``count`` (int64) says how many samples
    it has, ``confidence`` and ``accuracy`` are their means, NaN in an empty bin.
    """

    lower: Tensor
    upper: Tensor
    count: Tensor
    confidence: Tensor
    accuracy: Tensor

    @property
    def error(self) -> float:
        """``ECE = sum_b count_b / n |accuracy_b - confidence_b|``, from 0 to 1."""
        full = self.count > 0
        gap = (self.accuracy - self.confidence).abs()[full]
        return float((self.count[full] * gap).sum() / self.count.sum())


def reliability(
    confidences: Tensor, correct: Tensor, bins: int = 15, binning: Binning = "width"
) -> Reliability:
    """Mean confidence and accuracy by bins of confidence.

    ``width``: bins of equal width, ``[0, 1/B], (1/B, 2/B], ..., (1 - 1/B, 1]``. All are closed on
    the right and the first on the left too, so that no confidence is lost, 1.0 and 0.0 included.

    ``mass``: bins of nearly equal count. Equal confidences share a bin (that of the middle of
    their ranks), so the table does not depend on the order of the samples; with many ties some
    bins stay empty.

    ``confidences (n,)`` in [0, 1], ``correct (n,)`` bool. Sources: Guo et al.,
    arXiv:1706.04599, eq. 3 (width); Nixon et al., arXiv:1904.01685 (mass).
    """
    _check(confidences, correct, bins)
    values = confidences.double()
    if binning == "width":
        edges = torch.arange(bins + 1, dtype=torch.float64, device=values.device) / bins
        place = torch.bucketize(values, edges[1:-1])  # edges[k] < value <= edges[k + 1]
        lower, upper = edges[:-1], edges[1:]
    elif binning == "mass":
        _, owner, ties = torch.unique(values, return_inverse=True, return_counts=True)
        doubled_middle = 2 * ties.cumsum(0) - ties  # of the ranks that a value's samples occupy
        place = (doubled_middle * bins // (2 * len(values)))[owner]
        lower, upper = _extremes(values, place, bins)
    else:
        raise ValueError(f"binning is {binning!r}; expected 'width' or 'mass'")
    count = torch.bincount(place, minlength=bins)
    return Reliability(
        lower=lower,
        upper=upper,
        count=count,
        confidence=torch.bincount(place, values, minlength=bins) / count,
        accuracy=torch.bincount(place, correct.double(), minlength=bins) / count,
    )


def calibration_error(
    confidences: Tensor, correct: Tensor, bins: int = 15, binning: Binning = "width"
) -> float:
    """The expected calibration error: ``reliability(...).error``."""
    return reliability(confidences, correct, bins, binning).error


class ReliabilityCounts:
    """``reliability`` by bins of equal width over many batches: ``add`` them, read ``table()``.

    Equal to the table of all samples at once, up to the rounding of the sums; memory does not grow
    with their number, which suits pixels.
    """

    def __init__(self, bins: int = 15) -> None:
        self.bins = bins
        self._edges = torch.arange(bins + 1, dtype=torch.float64) / bins
        self._count = torch.zeros(bins, dtype=torch.int64)
        self._confidence = torch.zeros(bins, dtype=torch.float64)
        self._right = torch.zeros(bins, dtype=torch.float64)

    def add(self, confidences: Tensor, correct: Tensor) -> None:
        """Count a batch ``(n,)`` of each, on any device; an empty one changes nothing."""
        if confidences.numel() == 0 and confidences.shape == correct.shape:
            return
        found = reliability(confidences, correct, self.bins)
        count = found.count.double()
        self._count += found.count.cpu()
        self._confidence += (found.confidence * count).nan_to_num(0.0).cpu()
        self._right += (found.accuracy * count).nan_to_num(0.0).cpu()

    def table(self) -> Reliability:
        """The table of all that was added; its ``error`` is NaN if that is nothing."""
        return Reliability(
            lower=self._edges[:-1],
            upper=self._edges[1:],
            count=self._count.clone(),
            confidence=self._confidence / self._count,
            accuracy=self._right / self._count,
        )


def _extremes(values: Tensor, place: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    """Least and greatest value of each bin, NaN in an empty one."""
    nan = values.new_full((bins,), torch.nan)
    least = nan.scatter_reduce(0, place, values, "amin", include_self=False)
    return least, nan.scatter_reduce(0, place, values, "amax", include_self=False)


def _check(confidences: Tensor, correct: Tensor, bins: int) -> None:
    if confidences.ndim != 1 or len(confidences) == 0 or not confidences.is_floating_point():
        found = f"{confidences.dtype} of shape {tuple(confidences.shape)}"
        raise ValueError(f"confidences is {found}; expected floats (n,), at least one")
    if correct.shape != confidences.shape or correct.dtype != torch.bool:
        found = f"{correct.dtype} of shape {tuple(correct.shape)}"
        raise ValueError(f"correct is {found}; expected bool {tuple(confidences.shape)}")
    if not bool(((confidences >= 0) & (confidences <= 1)).all()):
        found = f"{float(confidences.min())} to {float(confidences.max())}"
        raise ValueError(f"confidences run from {found}; expected 0 to 1")
    if bins < 1:
        raise ValueError(f"bins is {bins}; expected at least 1")
