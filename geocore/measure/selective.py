"""Whether uncertainty tells the wrong from the right: accuracy of what is kept."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["accuracy_of_kept"]


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
    # Right answers among the first k samples, linear inside a group of equals.
    nothing = torch.zeros(1, dtype=torch.float64)
    ends = torch.cat([nothing, ties.cumsum(0).double()])
    found = torch.cat([nothing, right.cumsum(0)])
    kept = shares * len(correct)
    group = torch.bucketize(kept, ends[1:]).clamp(max=len(ties) - 1)
    within: Tensor = (kept - ends[group]) * right[group] / ties[group]
    return (found[group] + within) / kept
