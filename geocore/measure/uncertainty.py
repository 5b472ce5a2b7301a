"""How uncertain a prediction is, and how far predictions disagree.

Of an ensemble with members ``p_m`` and mean ``q = (1/M) sum_m p_m``, the entropy of ``q`` is what
the members are unsure of themselves plus what they disagree on::

    H[q] = (1/M) sum_m H[p_m] + MI,    0 <= MI <= H[q] <= log(classes)

Source: Depeweg et al., arXiv:1710.07283.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from geocore.measure.classification import check_probabilities

__all__ = [
    "agreement",
    "entropy",
    "expected_entropy",
    "mixture_log_probabilities",
    "mutual_information",
    "total_variation",
]

_OFF_ZERO = 1e-4  # how far the log of a sum of float32 probabilities may be from 0


def entropy(probabilities: Tensor) -> Tensor:
    """``H = -sum_c p_c log p_c`` in nats, with ``0 log 0 = 0``: from 0 to ``log(classes)``.

    ``(..., classes)`` -> ``(...)`` float64. Raises ``ValueError`` for what is no distribution.
    """
    check_probabilities(probabilities)
    terms: Tensor = torch.special.entr(probabilities.double())
    return terms.sum(dim=-1)


def expected_entropy(probabilities: Tensor) -> Tensor:
    """``(1/M) sum_m H[p_m]`` in nats: what the members are unsure of themselves.

    ``(members, ..., classes)`` -> ``(...)`` float64, from 0 to the entropy of the mean. Raises
    ``ValueError`` for what is no distribution.
    """
    _check_members("probabilities", probabilities)
    return entropy(probabilities).mean(dim=0)


def mutual_information(probabilities: Tensor) -> Tensor:
    """``MI = H[(1/M) sum_m p_m] - (1/M) sum_m H[p_m]`` in nats: what the members disagree on.

    ``(members, ..., classes)`` -> ``(...)`` float64, from 0 (all alike) to the entropy of the mean
    and to ``log(members)``. Entropy is concave, so that only rounding falls below 0, by some 1e-16:
    that is set to 0. Raises ``ValueError`` for what is no distribution. Source: Houlsby et al.,
    arXiv:1112.5745, eq. 2.
    """
    _check_members("probabilities", probabilities)
    mean = probabilities.double().mean(dim=0)
    return (entropy(mean) - expected_entropy(probabilities)).clamp(min=0)


def mixture_log_probabilities(log_probabilities: Tensor) -> Tensor:
    """``log((1/M) sum_m p_m) = logsumexp_m(log p_m) - log M``, not the mean of the logs.

    ``(members, ..., classes)`` -> ``(..., classes)`` float64; finite wherever one of the members
    is, however small its ``p``. Raises ``ValueError`` for what is no distribution.
    """
    _check_members("log_probabilities", log_probabilities)
    values = log_probabilities.double()
    off = values.logsumexp(dim=-1).abs()
    if not bool((off <= _OFF_ZERO).all()):
        found = f"{float(off.max()):.3g}"
        raise ValueError(f"log_probabilities have logsumexp 0 within {found}; expected 0")
    return values.logsumexp(dim=0) - math.log(len(values))


def agreement(first: Tensor, second: Tensor) -> float:
    """The share of inputs on which both have their largest probability at the same class.

    Two tensors of one shape ``(..., classes)``; of equal probabilities the first class counts.
    Raises ``ValueError`` for other shapes and for what is no distribution.
    """
    _check_pair(first, second)
    return float((first.argmax(dim=-1) == second.argmax(dim=-1)).double().mean())


def total_variation(first: Tensor, second: Tensor) -> float:
    """The mean over inputs of ``(1/2) sum_c |p_c - q_c|``, from 0 (equal) to 1 (disjoint).

    Two tensors of one shape ``(..., classes)``. Raises ``ValueError`` for other shapes and for
    what is no distribution.
    """
    _check_pair(first, second)
    return float((first.double() - second.double()).abs().sum(dim=-1).mean() / 2)


def _check_members(name: str, values: Tensor) -> None:
    if values.ndim < 2 or values.shape[0] == 0 or values.shape[-1] == 0:
        found = tuple(values.shape)
        raise ValueError(f"{name} has shape {found}; expected (members, ..., classes)")


def _check_pair(first: Tensor, second: Tensor) -> None:
    if first.shape != second.shape or first.numel() == 0:
        found = f"{tuple(first.shape)} and {tuple(second.shape)}"
        raise ValueError(f"first and second have shapes {found}; expected one, (..., classes)")
    check_probabilities(first)
    check_probabilities(second)
