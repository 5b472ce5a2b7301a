"""An ensemble's mixture on a batch, built member by member: what memory must hold is one member."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from geocore.measure.divergence import check_log_probabilities
from geocore.measure.uncertainty import entropy

__all__ = ["MixtureBatch", "RunningMixture", "mixture_batch"]


@dataclass(frozen=True)
class MixtureBatch:
    """``q = (1/M) sum_m p_m`` of ``n`` samples with labels; float64 but for the labels.

    ``log_probabilities`` is ``log q`` by logsumexp and ``probabilities`` is ``q``, ``(n, classes)``
    each; ``expected_entropy (n,)`` is ``(1/M) sum_m H[p_m]`` in nats. ``member_accuracy`` and
    ``member_nll``, ``(n,)``, are the members' means of ``[argmax p_m = label]`` and of
    ``-log p_m(label)``.
    """

    labels: Tensor
    log_probabilities: Tensor
    probabilities: Tensor
    expected_entropy: Tensor
    member_accuracy: Tensor
    member_nll: Tensor

    @property
    def entropy(self) -> Tensor:
        """``H[q]`` in nats, ``(n,)``."""
        return entropy(self.probabilities)

    @property
    def mutual_information(self) -> Tensor:
        """``H[q] - (1/M) sum_m H[p_m]`` in nats, ``(n,)``, not below 0."""
        return (self.entropy - self.expected_entropy).clamp(min=0)

    @property
    def correct(self) -> Tensor:
        """Where the largest ``q`` is at the label, ``(n,)`` bool."""
        return self.log_probabilities.argmax(dim=-1) == self.labels


class RunningMixture:
    """Sums over members of ``n`` samples: memory does not grow with the number of members.

    ``add`` takes a member's log-probabilities of some of the samples at a time; every sample must
    get as many as every other before ``batch`` is read.
    """

    def __init__(self, n: int, classes: int, device: torch.device | str = "cpu") -> None:
        if n < 1 or classes < 1:
            raise ValueError(f"n is {n} and classes {classes}; expected at least 1 of each")
        wide = torch.zeros(n, classes, dtype=torch.float64, device=device)
        self._sum, self._log_sum = wide, torch.full_like(wide, -torch.inf)
        self._entropy, self._right, self._nll = (torch.zeros_like(wide[:, 0]) for _ in range(3))
        self._members = torch.zeros(n, dtype=torch.int64, device=device)
        self._labels = torch.full_like(self._members, -1)

    def add(self, log_probabilities: Tensor, labels: Tensor, start: int = 0) -> None:
        """One member's ``(k, classes)`` of the samples from ``start``, and their labels ``(k,)``.

        Raises ``ValueError`` for other shapes, samples that there are not, what is no distribution,
        labels that are no classes, and labels that are not those of an earlier member.
        """
        check_log_probabilities("log_probabilities", log_probabilities)
        n, classes = self._sum.shape
        if log_probabilities.ndim != 2 or log_probabilities.shape[1] != classes:
            found = tuple(log_probabilities.shape)
            raise ValueError(f"log_probabilities has shape {found}; expected (k, {classes})")
        stop = start + len(log_probabilities)
        if not 0 <= start <= stop <= n:
            raise ValueError(f"samples are {start} to {stop - 1}; expected from 0 to {n - 1}")
        check_labels(labels, stop - start, classes)
        part = slice(start, stop)
        earlier = self._labels[part]
        if bool(((earlier >= 0) & (earlier != labels)).any()):
            raise ValueError("labels differ from an earlier member's; expected the samples' own")
        values = log_probabilities.double()
        p = values.exp()
        self._labels[part] = labels
        self._members[part] += 1
        self._sum[part] += p
        self._log_sum[part] = torch.logaddexp(self._log_sum[part], values)
        self._entropy[part] += entropy(p)
        self._right[part] += (values.argmax(dim=-1) == labels).double()
        self._nll[part] -= values.gather(1, labels[:, None])[:, 0]

    def batch(self, n: int | None = None) -> MixtureBatch:
        """The mixture of the first ``n`` samples, of all by default.

        Raises ``ValueError`` unless all have the same number of members, at least one.
        """
        part = slice(0, len(self._labels) if n is None else n)
        members = self._members[part]
        least, most = int(members.min()), int(members.max())
        if not 0 < least == most:
            raise ValueError(f"samples have {least} to {most} members; expected as many each")
        return MixtureBatch(
            labels=self._labels[part].clone(),
            log_probabilities=self._log_sum[part] - math.log(most),
            probabilities=self._sum[part] / most,
            expected_entropy=self._entropy[part] / most,
            member_accuracy=self._right[part] / most,
            member_nll=self._nll[part] / most,
        )


def mixture_batch(log_probabilities: Tensor, labels: Tensor) -> MixtureBatch:
    """The mixture of ``log_probabilities (members, n, classes)`` with ``labels (n,)`` int64.

    Raises ``ValueError`` for another shape and as ``RunningMixture.add`` does.
    """
    if log_probabilities.ndim != 3 or 0 in log_probabilities.shape:
        found = tuple(log_probabilities.shape)
        raise ValueError(f"log_probabilities has shape {found}; expected (members, n, classes)")
    _, n, classes = log_probabilities.shape
    running = RunningMixture(n, classes, log_probabilities.device)
    for member in log_probabilities:
        running.add(member, labels)
    return running.batch()


def check_labels(labels: Tensor, n: int, classes: int) -> None:
    """Raise ``ValueError`` unless ``labels`` are ``n`` classes, int64."""
    if labels.shape != (n,) or labels.dtype != torch.int64:
        found = f"{labels.dtype} of shape {tuple(labels.shape)}"
        raise ValueError(f"labels is {found}; expected int64 ({n},)")
    if n and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        found = f"{int(labels.min())} to {int(labels.max())}"
        raise ValueError(f"labels runs from {found}; expected 0 to {classes - 1}")
