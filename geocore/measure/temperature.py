"""Scores into probabilities: one temperature for all, fitted where labels are known."""

from __future__ import annotations

import math

from torch import Tensor

from geocore.measure.classification import nll

__all__ = ["fit_temperature"]

_DOUBLINGS = 2000  # from the smallest scores that float64 holds to the largest


def fit_temperature(scores: Tensor, labels: Tensor) -> float:
    """The ``T > 0`` that makes ``softmax(scores / T)`` likeliest, on labels that it was given.

    It minimises, over ``beta = 1 / T``, in which it is convex,

        sum_i -log p_i(y_i)  +  mean_i (1/C) sum_c -log p_i(c),    p_i = softmax(beta scores_i)

    The first sum is the negative log-likelihood of the ``n`` labels. The second is that of one
    more sample, of unknown label: without it, a split on which every label is right would ask for
    probabilities of 0 and 1, and the first mistake elsewhere would cost infinitely much. It weighs
    as ``1 / n``. The root of the derivative is bisected down to the last bit. ``inf`` (all classes
    alike) where scores say no more of labels than chance.

    ``scores (n, classes)`` finite, ``labels (n,)`` int64. Source: Guo et al., arXiv:1706.04599,
    sec. 4.2, without the second sum.
    """
    nll(scores, labels)  # refuses what are no scores and labels
    if not bool(scores.isfinite().all()):
        raise ValueError(f"scores has an entry {float(scores[~scores.isfinite()][0])}; "
                         "expected finite ones")  # fmt: skip
    values = scores.double()
    values = values - values.mean(dim=1, keepdim=True)  # shifts of all classes cancel
    gained = values.gather(1, labels[:, None]).sum()

    def rises(beta: float) -> bool:
        expected = ((beta * values).softmax(dim=1) * values).sum(dim=1)
        return bool(expected.sum() - gained + expected.mean() > 0)

    if not float(gained) > 0:
        return math.inf
    low = high = 1 / float(values.abs().max())
    for _ in range(_DOUBLINGS):
        if rises(high):
            break
        high *= 2
    for _ in range(_DOUBLINGS):
        if not rises(low):
            break
        low /= 2
    while low < (middle := (low + high) / 2) < high:
        low, high = (low, middle) if rises(middle) else (middle, high)
    return 1 / high
