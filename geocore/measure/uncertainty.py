"""How uncertain a prediction is."""

from __future__ import annotations

import torch
from torch import Tensor

from geocore.measure.classification import check_probabilities

__all__ = ["entropy"]


def entropy(probabilities: Tensor) -> Tensor:
    """``H = -sum_c p_c log p_c`` in nats, with ``0 log 0 = 0``: from 0 to ``log(classes)``.

    ``(..., classes)`` -> ``(...)`` float64. Raises ``ValueError`` for what is no distribution.
    """
    check_probabilities(probabilities)
    terms: Tensor = torch.special.entr(probabilities.double())
    return terms.sum(dim=-1)
