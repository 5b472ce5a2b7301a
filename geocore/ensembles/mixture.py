"""What an ensemble predicts: the mixture of its members, and where they disagree."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from geocore.measure.uncertainty import (
    entropy,
    expected_entropy,
    mixture_log_probabilities,
    mutual_information,
)

__all__ = ["Mixture"]


@dataclass(frozen=True)
class Mixture:
    """``q = (1/M) sum_m p_m`` with ``p_m = softmax(logits_m)``: every member counts alike.

    ``logits (members, n, classes)`` in float64. Of the uncertainty ``H[q]`` of a sample the
    members' own part is ``(1/M) sum_m H[p_m]`` (aleatoric), and the mutual information of
    prediction and member is the rest (epistemic). Raises ``ValueError`` for another shape.
    """

    logits: Tensor

    def __post_init__(self) -> None:
        if self.logits.ndim != 3 or 0 in self.logits.shape:
            found = tuple(self.logits.shape)
            raise ValueError(f"logits has shape {found}; expected (members, n, classes)")

    @cached_property
    def member_log_probabilities(self) -> Tensor:
        """``log p_m``, ``(members, n, classes)``."""
        return self.logits.double().log_softmax(dim=-1)

    @cached_property
    def log_probabilities(self) -> Tensor:
        """``log q``, ``(n, classes)``: finite where ``q`` itself would round to 0."""
        return mixture_log_probabilities(self.member_log_probabilities)

    @cached_property
    def probabilities(self) -> Tensor:
        """``q``, ``(n, classes)``."""
        return self._members.mean(dim=0)

    @cached_property
    def entropy(self) -> Tensor:
        """``H[q]`` in nats, ``(n,)``."""
        return entropy(self.probabilities)

    @cached_property
    def expected_entropy(self) -> Tensor:
        """``(1/M) sum_m H[p_m]`` in nats, ``(n,)``."""
        return expected_entropy(self._members)

    @cached_property
    def mutual_information(self) -> Tensor:
        """``H[q] - (1/M) sum_m H[p_m]`` in nats, ``(n,)``."""
        return mutual_information(self._members)

    @cached_property
    def _members(self) -> Tensor:
        return self.member_log_probabilities.exp()
