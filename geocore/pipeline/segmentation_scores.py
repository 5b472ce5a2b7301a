"""What is measured of labelled pixels, sample by sample: IoU, accuracy, likelihood, calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from geocore.measure.calibration import Reliability, ReliabilityCounts
from geocore.measure.segmentation import (
    IGNORED,
    PixelCounts,
    class_iou,
    mean_iou,
    pixel_accuracy,
)
from geocore.measure.selective import KeptCounts
from geocore.pipeline.predictions import finite

__all__ = ["Labelled", "SegmentationScores", "labelled"]


@dataclass(frozen=True)
class Labelled:
    """The pixels of one sample that count: each ``(pixels,)``; ``of`` is how many have a label.

    ``areas`` are integers in proportion to what a pixel covers.
    """

    predicted: Tensor
    labels: Tensor
    areas: Tensor
    nll: Tensor
    confidence: Tensor
    entropy: Tensor
    of: int


def labelled(
    logits: Tensor, targets: Tensor, known: Tensor, areas: Tensor | None = None
) -> Labelled:
    """``logits (pixels, classes)`` where they are ``known (pixels,)``, and ``targets (pixels,)``.

    A target ``IGNORED`` marks a pixel that does not count. ``areas (pixels,)`` are integers, by
    default 1 for each.
    """
    counted = (targets != IGNORED) & known
    log_p = F.log_softmax(logits[counted].double(), dim=1)
    labels = targets[counted].long()
    largest, predicted = log_p.max(dim=1)
    p = log_p.exp()
    return Labelled(
        predicted=predicted,
        labels=labels,
        areas=torch.ones_like(labels) if areas is None else areas[counted],
        nll=-log_p.gather(1, labels[:, None])[:, 0],
        confidence=largest.exp().clamp(max=1),
        entropy=torch.special.entr(p).sum(dim=1),
        of=int((targets != IGNORED).sum()),
    )


class SegmentationScores:
    """The scores of many samples on one grid.

    ``without`` are the classes that ``miou_without`` leaves out of the mean. IoU and accuracy are
    over all pixels of all samples, by the area that each covers: on an equiangular grid points
    crowd at the poles, and without areas an item would count more there. The mean negative
    log-likelihood (nats) and the calibration error count pixels alike. ``miou_of_samples`` is the
    mean of the samples' own.
    """

    def __init__(self, classes: Sequence[str], without: Sequence[int], bins: int) -> None:
        self.classes, self.without = tuple(classes), tuple(without)
        self.counts = PixelCounts(len(classes))
        self._areas = torch.zeros_like(self.counts.confusion)
        self._reliability = ReliabilityCounts(bins)
        self._kept = KeptCounts(math.log(max(len(classes), 2)))
        self._nll, self._of = 0.0, 0
        self._own: list[float] = []

    def add(self, pixels: Labelled) -> dict[str, float | int | None]:
        """Take in a sample; its own ``miou``, ``miou_without``, ``accuracy``, ``nll`` and ``n``."""
        self.counts.add(pixels.predicted, pixels.labels)
        confusion = self._covered(pixels)
        self._areas += confusion
        right = pixels.predicted == pixels.labels
        self._reliability.add(pixels.confidence, right)
        self._kept.add(pixels.entropy, right)
        self._nll += float(pixels.nll.sum())
        self._of += pixels.of
        own = mean_iou(confusion)
        if not math.isnan(own):
            self._own.append(own)
        return {
            "miou": finite(own),
            "miou_without": finite(mean_iou(confusion, self.without)),
            "accuracy": finite(pixel_accuracy(confusion)),
            "nll": finite(pixels.nll.mean()),
            "n": len(pixels.labels),
        }

    def summary(self) -> dict[str, Any]:
        """All scores by name, null where undefined; ``coverage`` is the share of the labelled
        pixels that the network says something of, ``n`` how many these are.
        """
        confusion = self._areas
        count = int(self.counts.confusion.sum())
        iou = class_iou(confusion)
        return {
            "miou": finite(mean_iou(confusion)),
            "miou_without": finite(mean_iou(confusion, self.without)),
            "miou_of_samples": fmean(self._own) if self._own else None,
            "accuracy": finite(pixel_accuracy(confusion)),
            "nll": self._nll / count if count else None,
            "ece": finite(self.reliability().error),
            "iou": {name: finite(iou[place]) for place, name in enumerate(self.classes)},
            "coverage": count / self._of if self._of else None,
            "n": count,
        }

    def _covered(self, pixels: Labelled) -> Tensor:
        """The area of each actual class that was taken for each other, integers."""
        place = pixels.labels * len(self.classes) + pixels.predicted
        found = torch.zeros(len(self.classes) ** 2, dtype=torch.int64)
        return found.scatter_add_(0, place, pixels.areas).reshape(self._areas.shape)

    def reliability(self) -> Reliability:
        """Accuracy against confidence, over pixels."""
        return self._reliability.table()

    def kept(self, shares: Tensor) -> dict[str, list[float]]:
        """``accuracy`` of the share of pixels of least entropy, for each of ``shares``."""
        return {"accuracy": self._kept.curve(shares).tolist()}
