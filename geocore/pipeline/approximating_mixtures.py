"""What an ensemble or a posterior predicts, mixed over its members, and how far two are apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from geocore.measure.calibration import calibration_error
from geocore.measure.classification import brier
from geocore.measure.ranking import auroc
from geocore.measure.uncertainty import agreement, entropy, total_variation

__all__ = ["Mixed", "apart", "chains_apart", "figures", "pooled"]


@dataclass(frozen=True)
class Mixed:
    """``q = (1/M) sum_m p_m``: ``log_q (n, classes)``, the members' mean entropy ``(n,)``."""

    log_q: Tensor
    expected_entropy: Tensor

    @classmethod
    def of(cls, told: Mapping[str, Tensor], name: str) -> Mixed:
        """The set ``name`` of what ``predict_members`` gives."""
        return cls(told[f"{name}.log_q"], told[f"{name}.expected_entropy"])

    @property
    def q(self) -> Tensor:
        """``(n, classes)``."""
        return self.log_q.exp()

    @property
    def entropy(self) -> Tensor:
        """``H[q]`` in nats, ``(n,)``."""
        return entropy(self.q)

    @property
    def mutual_information(self) -> Tensor:
        """``H[q] - (1/M) sum_m H[p_m]`` in nats, ``(n,)``, not below 0."""
        return (self.entropy - self.expected_entropy).clamp(min=0)

    def at(self, chosen: Tensor | None) -> Mixed:
        """Of some of the inputs; of all for None."""
        if chosen is None:
            return self
        return Mixed(self.log_q[chosen], self.expected_entropy[chosen])


def pooled(chains: Sequence[Mixed]) -> Mixed:
    """The mixture of chains of as many draws each."""
    log_q = torch.stack([chain.log_q for chain in chains])
    count = torch.tensor(float(len(chains)), dtype=log_q.dtype)
    expected = torch.stack([chain.expected_entropy for chain in chains]).mean(dim=0)
    return Mixed(log_q.logsumexp(dim=0) - count.log(), expected)


def apart(first: Mixed, second: Mixed) -> dict[str, float]:
    """Means over inputs: ``|H - H'|``, ``|MI - MI'|`` in nats, total variation, agreement."""
    return {
        "entropy": _mean((first.entropy - second.entropy).abs()),
        "mutual_information": _mean((first.mutual_information - second.mutual_information).abs()),
        "total_variation": total_variation(first.q, second.q),
        "agreement": agreement(first.q, second.q),
    }


def chains_apart(chains: Sequence[Mixed]) -> dict[str, float]:
    """The mean of ``apart`` over pairs of chains: what differs by less is not told apart."""
    pairs = [apart(*pair) for pair in combinations(chains, 2)]
    return {name: sum(pair[name] for pair in pairs) / len(pairs) for name in pairs[0]}


def figures(mixed: Mixed, labels: Tensor | None, inside: Mixed | None) -> dict[str, float]:
    """What a mixture says by itself: mean doubt; with ``labels`` whether it is right to doubt.

    ``inside`` are its predictions in distribution, from which entropy and mutual information are
    to tell those here: the areas under their ROC curves.
    """
    found = {
        "mean_entropy": _mean(mixed.entropy),
        "mean_mutual_information": _mean(mixed.mutual_information),
    }
    if labels is not None:
        confidence, predicted = mixed.q.clamp(max=1).max(dim=1)  # 1 + 1e-16 is rounding
        right = predicted == labels
        found |= {
            "accuracy": _mean(right.double()),
            "nll": -_mean(mixed.log_q.gather(1, labels[:, None])),
            "ece": calibration_error(confidence, right),
            "brier": _mean(brier(mixed.q, labels)),
        }
    if inside is not None:
        found |= {
            "auroc_entropy": auroc(inside.entropy, mixed.entropy),
            "auroc_mutual_information": auroc(inside.mutual_information, mixed.mutual_information),
        }
    return found


def _mean(values: Tensor) -> float:
    return float(values.double().mean())
