"""Measures of ensembles over more samples than fit into memory: batch by batch, or from a file."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from geocore.measure.calibration import Reliability, ReliabilityCounts
from geocore.measure.classification import brier, nll
from geocore.measure.members_file import mixture_slices
from geocore.measure.mixture_batch import MixtureBatch, mixture_batch
from geocore.measure.uncertainty import agreement, total_variation

__all__ = [
    "EnsembleTally",
    "PairTally",
    "compare_parquet",
    "tally_parquet",
    "uncertainties_parquet",
]


class EnsembleTally:
    """Means over all samples that were added; memory does not grow with their number.

    ``add`` batches of members' log-probabilities, then read ``values()``. They equal what
    ``geocore.measure`` gives for all samples at once up to the rounding of sums; the calibration
    error is that of ``bins`` bins of equal width (bins of equal mass need all confidences).
    """

    def __init__(self, bins: int = 15) -> None:
        if bins < 1:
            raise ValueError(f"bins is {bins}; expected at least 1")
        self.samples = 0
        self._sums: dict[str, float] = {}
        self._counts = ReliabilityCounts(bins)

    def add(self, log_probabilities: Tensor, labels: Tensor) -> None:
        """Count ``(members, n, classes)`` with ``labels (n,)`` int64; ``n`` may be 0.

        Raises ``ValueError`` for other shapes, what is no distribution, and labels that are no
        classes. Whether all batches have the same members is the caller's to see to.
        """
        if log_probabilities.ndim == 3 and log_probabilities.shape[1] == 0 == len(labels):
            return
        self.add_batch(mixture_batch(log_probabilities, labels))

    def add_batch(self, batch: MixtureBatch) -> None:
        """Count a batch whose members have been mixed already."""
        found = {
            "accuracy": batch.correct,
            "nll": nll(batch.log_probabilities, batch.labels),
            "brier": brier(batch.probabilities, batch.labels),
            "entropy": batch.entropy,
            "expected_entropy": batch.expected_entropy,
            "mutual_information": batch.mutual_information,
            "member_accuracy": batch.member_accuracy,
            "member_nll": batch.member_nll,
        }
        self.samples += len(batch.labels)
        for name, value in found.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value.double().sum())
        # The mean of ones may be 1 + 2e-16.
        self._counts.add(batch.probabilities.amax(dim=-1).clamp(max=1), batch.correct)

    def values(self) -> dict[str, float]:
        """Of the mixture ``q``: ``accuracy``, ``nll`` (by logsumexp, nats), ``brier`` (0 to 2),
        ``entropy``, ``expected_entropy``, ``mutual_information`` (nats) and ``ece``; and the
        members' means, ``member_accuracy`` and ``member_nll``.

        Raises ``ValueError`` if nothing was added.
        """
        if self.samples == 0:
            raise ValueError("the tally has 0 samples; expected at least one")
        means = {name: value / self.samples for name, value in self._sums.items()}
        return {**means, "ece": self.reliability().error}

    def reliability(self) -> Reliability:
        """The reliability table of all samples, by bins of equal width."""
        return self._counts.table()


class PairTally:
    """``agreement`` and ``total_variation`` of two ensembles over many batches."""

    def __init__(self) -> None:
        self.samples = 0
        self._agreement = self._total_variation = 0.0

    def add(self, first: Tensor, second: Tensor) -> None:
        """Count a batch of two predictions, probabilities ``(n, classes)`` each, ``n >= 1``."""
        equal, apart = agreement(first, second), total_variation(first, second)
        self.samples += len(first)
        self._agreement += equal * len(first)
        self._total_variation += apart * len(first)

    def values(self) -> dict[str, float]:
        """``agreement`` and ``total_variation``. Raises ``ValueError`` if nothing was added."""
        if self.samples == 0:
            raise ValueError("the tally has 0 samples; expected at least one")
        return {
            "agreement": self._agreement / self.samples,
            "total_variation": self._total_variation / self.samples,
        }


def tally_parquet(
    path: Path, split: str | None = None, samples: int | None = None, bins: int = 15
) -> EnsembleTally:
    """The tally of a file of members' predictions, ``samples`` at a time.

    The file is as ``mixture_slices`` reads it, one row a sample and member; ``split`` chooses rows,
    all by default, and ``samples`` has a default by the number of classes. Raises ``ValueError`` in
    one line for a file that does not hold them.
    """
    tally = EnsembleTally(bins)
    for _, batch in mixture_slices(path, split, samples):
        tally.add_batch(batch)
    return tally


def compare_parquet(
    first: Path, second: Path, split: str | None = None, samples: int | None = None
) -> PairTally:
    """Agreement and total variation of two ensembles' mixtures, from two files of predictions.

    Raises ``ValueError`` as ``tally_parquet`` does, and if the files have other samples or classes.
    """
    tally = PairTally()
    one, two = mixture_slices(first, split, samples), mixture_slices(second, split, samples)
    while True:
        ends = next(one, None), next(two, None)
        if ends == (None, None):
            return tally
        if ends[0] is None or ends[1] is None or not torch.equal(ends[0][0], ends[1][0]):
            raise ValueError(
                f"{second} has other samples than {first}; expected the same, in order"
            )
        tally.add(ends[0][1].probabilities, ends[1][1].probabilities)


def uncertainties_parquet(
    path: Path, split: str | None = None, samples: int | None = None
) -> dict[str, Tensor]:
    """``entropy`` and ``mutual_information`` of each sample's mixture, its number (``sample``) and
    whether it is ``correct``: what ``auroc`` and ``risk_coverage`` rank, and they need all samples.

    ``(n,)`` each: 25 bytes a sample, however many members and classes there are. Raises
    ``ValueError`` as ``tally_parquet`` does.
    """
    parts = [
        (sample, batch.entropy, batch.mutual_information, batch.correct)
        for sample, batch in mixture_slices(path, split, samples)
    ]
    sample, total, information, correct = (
        torch.cat(list(column)) for column in zip(*parts, strict=True)
    )
    return {
        "sample": sample,
        "entropy": total,
        "mutual_information": information,
        "correct": correct,
    }
