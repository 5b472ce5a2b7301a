"""What an ensemble says of pixels: mixtures of masks, means of depths, and where members disagree.

Sums over the pixels that count are kept, so that any number of samples takes little memory.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from geocore.data.table import IGNORED
from geocore.ensembles.mixture import Mixture
from geocore.measure.segmentation import PixelCounts

__all__ = ["DepthEnsemble", "PixelEnsemble", "SegmentationEnsemble"]

_PIECE = 2**16  # pixels whose probabilities of all members are held together

Scores = dict[str, float]


class PixelEnsemble(ABC):
    """The scores of an ensemble and its members: ``add`` each sample, then read ``values()``."""

    @abstractmethod
    def add(self, outputs: Tensor, target: Tensor) -> tuple[Scores, list[Scores]]:
        """Take in a sample; return what holds for it, of the ensemble and of each member.

        ``outputs (members, ..., outputs)``, ``target (...)`` as ``geocore.train.feed`` gives it.
        Scores are NaN where no pixel counts.
        """

    @abstractmethod
    def values(self) -> dict[str, Any]:
        """The ensemble's scores over all pixels, and ``best_member`` and ``mean_member``."""


class SegmentationEnsemble(PixelEnsemble):
    """Mixtures ``q = (1/M) sum_m softmax(logits_m)`` of pixels, as ``Mixture`` has it of samples.

    NLL, accuracy, entropy, expected entropy and mutual information are means over the pixels with
    a label, each pixel alike; mean IoU is over all samples together. The best member has the
    highest mean IoU.
    """

    _names = ("nll", "accuracy", "entropy", "expected_entropy", "mutual_information")
    _of_members = ("nll", "accuracy")

    def __init__(self, members: int, classes: int) -> None:
        self._count = 0
        self._sums = torch.zeros(len(self._names), dtype=torch.float64)
        self._own = torch.zeros(members, len(self._of_members), dtype=torch.float64)
        self._pixels = [PixelCounts(classes) for _ in range(1 + members)]

    def add(self, outputs: Tensor, target: Tensor) -> tuple[Scores, list[Scores]]:
        counted = target != IGNORED
        logits, labels = outputs[:, counted], target[counted].long()
        sums, own = torch.zeros_like(self._sums), torch.zeros_like(self._own)
        for start in range(0, len(labels), _PIECE):
            some = slice(start, start + _PIECE)
            of_all, of_each = self._piece(Mixture(logits[:, some].double()), labels[some])
            sums, own = sums + of_all, own + of_each
        self._sums, self._own = self._sums + sums, self._own + own
        self._count += len(labels)
        return (
            {"pixels": len(labels), **_means(self._names, sums, len(labels))},
            [_means(self._of_members, row, len(labels)) for row in own],
        )

    def values(self) -> dict[str, Any]:
        members = [
            {"mean_iou": pixels.mean_iou(), **_means(self._of_members, row, self._count)}
            for pixels, row in zip(self._pixels[1:], self._own, strict=True)
        ]
        return {
            "mean_iou": self._pixels[0].mean_iou(),
            **_means(self._names, self._sums, self._count),
            **_of_members(members, lambda own: -own["mean_iou"]),
        }

    def _piece(self, mixture: Mixture, labels: Tensor) -> tuple[Tensor, Tensor]:
        every = torch.cat([mixture.log_probabilities[None], mixture.member_log_probabilities])
        predicted = every.argmax(dim=-1)
        for pixels, own in zip(self._pixels, predicted, strict=True):
            pixels.add(own, labels)
        nll = -every.gather(-1, labels.expand(len(every), -1)[..., None])[..., 0].sum(dim=1)
        right = (predicted == labels).sum(dim=1).double()
        uncertainty = [
            value.sum()
            for value in (mixture.entropy, mixture.expected_entropy, mixture.mutual_information)
        ]
        found = torch.stack([nll, right], dim=1).cpu()
        return torch.cat([found[0], torch.stack(uncertainty).cpu()]), found[1:]


class DepthEnsemble(PixelEnsemble):
    """The mean of the members' depths in metres, and their standard deviation, the ``spread``.

    Root mean square errors are over the pixels with a depth, ``spread`` is the mean over them. The
    best member has the lowest error. ``metres`` turns outputs into depths.
    """

    def __init__(self, members: int, metres: Callable[[Tensor], Tensor]) -> None:
        self._metres, self._count = metres, 0
        self._square = torch.zeros(1 + members, dtype=torch.float64)
        self._spread = 0.0

    def add(self, outputs: Tensor, target: Tensor) -> tuple[Scores, list[Scores]]:
        counted = target > 0
        depths = self._metres(outputs[:, counted].double())
        mean = depths.mean(dim=0, keepdim=True)
        square = (torch.cat([mean, depths]) - target[counted]).square().sum(dim=1).cpu()
        spread = float((depths - mean).square().mean(dim=0).sqrt().sum())
        count = depths.shape[1]
        self._square, self._spread = self._square + square, self._spread + spread
        self._count += count
        rmse = _roots(square, count)
        whole = {"pixels": count, "rmse": rmse[0], "spread": spread / count if count else math.nan}
        return whole, [{"rmse": value} for value in rmse[1:]]

    def values(self) -> dict[str, Any]:
        rmse = _roots(self._square, self._count)
        return {
            "rmse": rmse[0],
            "spread": self._spread / self._count,
            **_of_members([{"rmse": value} for value in rmse[1:]], lambda own: own["rmse"]),
        }


def _means(names: Sequence[str], sums: Tensor, count: int) -> Scores:
    values = [value / count if count else math.nan for value in sums.tolist()]
    return dict(zip(names, values, strict=True))


def _roots(square: Tensor, count: int) -> list[float]:
    return [math.sqrt(value / count) if count else math.nan for value in square.tolist()]


def _of_members(members: Sequence[Scores], worse: Callable[[Scores], float]) -> dict[str, Scores]:
    return {
        "best_member": min(members, key=worse),
        "mean_member": {name: fmean(own[name] for own in members) for name in members[0]},
    }
