"""Whether uncertainty tells the wrong from the right: accuracy of what is kept."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["KeptCounts", "accuracy_of_kept"]


def accuracy_of_kept(uncertainty: Tensor, correct: Tensor, shares: Tensor) -> Tensor:
    """Accuracy among the share of samples of least uncertainty: 1 minus the selective risk.

    At ``share`` 1 this is the accuracy. Of samples with equal uncertainty an equal part is kept
    each, so the result does not depend on their order; a share that ends inside a sample keeps
    that part of it. Uninformative uncertainty gives a flat curve, perfect one 1 up to the accuracy.

    ``uncertainty (n,)``, ``correct (n,)`` bool, ``shares (k,)`` in (0, 1] -> ``(k,)`` float64.
    Source: El-Yaniv and Wiener (2010), the risk-coverage curve.
    """
    if uncertainty.ndim != 1 or len(uncertainty) == 0 or uncertainty.shape != correct.shape:
        raise ValueError(
            f"uncertainty is {tuple(uncertainty.shape)} and correct {tuple(correct.shape)}; "
            "expected one of each a sample, and at least one sample"
        )
    if correct.dtype != torch.bool:
        raise TypeError(f"correct is {correct.dtype}; expected torch.bool")
    if uncertainty.isnan().any():
        raise ValueError("uncertainty holds NaN; expected numbers that can be ordered")
    shares = shares.double()
    if not ((shares > 0) & (shares <= 1)).all():
        raise ValueError(f"shares are {shares.tolist()}; expected each above 0 and at most 1")
    _, owner, ties = torch.unique(uncertainty, return_inverse=True, return_counts=True)
    right = torch.zeros(len(ties), dtype=torch.float64).index_add_(0, owner, correct.double())
    return _curve(right, ties, shares)


class KeptCounts:
    """``accuracy_of_kept`` over many batches: ``add`` them, then read ``curve(shares)``.

    Uncertainties are sorted into ``bins`` of equal width from 0 to ``largest``, and those that
    share a bin count as equal. So the curve is that of the uncertainties rounded to their bins,
    whatever the number of samples, and memory does not grow with it.
    """

    def __init__(self, largest: float, bins: int = 4096) -> None:
        if not largest > 0 or bins < 1:
            raise ValueError(
                f"largest is {largest} and bins {bins}; expected above 0 and at least 1"
            )
        self.largest, self.bins = largest, bins
        self._count = torch.zeros(bins, dtype=torch.int64)
        self._value = torch.zeros(bins, dtype=torch.float64)

    def add(self, uncertainty: Tensor, value: Tensor) -> None:
        """Count a batch ``(n,)`` of each; ``value`` is 1 where right, or anything to be averaged.

        What lies outside 0 to ``largest`` falls into the first or last bin.
        """
        if uncertainty.ndim != 1 or uncertainty.shape != value.shape:
            found = f"{tuple(uncertainty.shape)} and {tuple(value.shape)}"
            raise ValueError(f"uncertainty and value are {found}; expected one of each a sample")
        if uncertainty.isnan().any():
            raise ValueError("uncertainty holds NaN; expected numbers that can be ordered")
        place = self.rounded(uncertainty)
        self._count += torch.bincount(place, minlength=self.bins).cpu()
        self._value += torch.bincount(place, value.double(), minlength=self.bins).cpu()

    def rounded(self, uncertainty: Tensor) -> Tensor:
        """The bin of each uncertainty, int64."""
        scaled = (uncertainty.double() * (self.bins / self.largest)).floor()
        return scaled.clamp(0, self.bins - 1).long()

    def curve(self, shares: Tensor) -> Tensor:
        """The mean value among each share of least uncertainty, ``(k,)`` float64.

        NaN if nothing was added.
        """
        full = self._count > 0
        if not bool(full.any()):
            return torch.full(shares.shape, torch.nan, dtype=torch.float64)
        return _curve(self._value[full], self._count[full], shares.double())


def _curve(right: Tensor, ties: Tensor, shares: Tensor) -> Tensor:
    """The mean among the first share of samples, given in groups of equals: the sum of each group's
    values and how many it has. Linear inside a group.
    """
    nothing = torch.zeros(1, dtype=torch.float64)
    ends = torch.cat([nothing, ties.cumsum(0).double()])
    found = torch.cat([nothing, right.cumsum(0)])
    kept = shares * ends[-1]
    group = torch.bucketize(kept, ends[1:]).clamp(max=len(ties) - 1)
    within: Tensor = (kept - ends[group]) * right[group] / ties[group]
    return (found[group] + within) / kept
