"""A class a pixel: cross-entropy with class weights, and mean intersection over union."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from geocore.config.train import ClassWeights, TrainParams
from geocore.data.table import IGNORED
from geocore.errors import UserError
from geocore.measure.segmentation import PixelCounts
from geocore.train.feed import Feed
from geocore.train.objective import Learned, Objective, Score, Task

__all__ = ["Segmentation", "class_counts", "class_weights"]

_OFFSET = 1.02  # of ENet's weights: none is above 1 / log 1.02 = 50


@dataclass(frozen=True)
class Segmentation(Objective):
    """``sum_i w(y_i) (-log p_i(y_i)) / sum_i w(y_i)`` over the pixels of a batch that have a label.

    ``weights`` are a number a class, 1 without; a pixel labelled ``IGNORED`` does not count. With
    smoothing ``s`` the numerator is ``(1 - s)`` times that above and ``s / classes sum_ic w_c (-log
    p_i(c))``; the curve shows the mean without. The best weights have the highest mean IoU on the
    validation split, over the classes that occur or are predicted there: the NLL of a network
    that grows more sure of itself rises long before it labels fewer pixels rightly.
    """

    task: ClassVar[Task] = "segmentation"
    names: ClassVar[tuple[str, ...]] = ("train_nll", "val_nll", "val_mean_iou")

    classes: int
    weights: tuple[float, ...] | None = None
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        if self.weights is not None and len(self.weights) != self.classes:
            raise ValueError(
                f"weights are {len(self.weights)}; expected one for each of {self.classes} classes"
            )

    @classmethod
    def of(cls, params: TrainParams, classes: int, training: Feed, where: str) -> Segmentation:
        """With weights from the labels of ``training``, once they are seen to be classes."""
        cls(classes).require(training, where)
        weights = None
        if params.class_weights != "none":
            counts = class_counts(training, classes)
            weights = tuple(class_weights(params.class_weights, *counts).tolist())
        return cls(classes, weights, params.label_smoothing)

    @property
    def outputs(self) -> int:
        """A logit a class."""
        return self.classes

    def loss(self, output: Tensor, target: Tensor) -> Learned:
        """``output (batch, ..., classes)``, ``target (batch, ...)`` integers."""
        logits, labels = output.flatten(0, -2), target.flatten().long()
        weights = self._weights(output)
        counted = labels != IGNORED
        labels = torch.where(counted, labels, 0)
        logits = torch.where(counted[:, None], logits, 0)  # a NaN or infinity there counts no more
        of_pixel = torch.where(counted, weights[labels], 0)
        count = of_pixel.sum()
        divisor = count.clamp_min(torch.finfo(count.dtype).tiny)  # nothing counts: the loss is zero
        # log p is never formed: log_softmax over few classes is several times slower on a CPU.
        partition = logits.logsumexp(dim=1)
        of_label = logits.gather(1, labels[:, None])[:, 0]
        nll = ((partition - of_label) * of_pixel).sum() / divisor
        smooth, loss = self.label_smoothing, nll
        if smooth:
            spread = torch.where(counted, partition * weights.sum() - logits @ weights, 0).sum()
            loss = (1 - smooth) * nll + smooth * spread / self.classes / divisor
        return Learned(loss, nll, count)

    def score(self) -> Score:
        """``val_nll``, by class weights as in the loss, and ``val_mean_iou``."""
        return _Score(self)

    def criterion(self, row: Mapping[str, float]) -> float:
        """The mean IoU, negated."""
        return -row["val_mean_iou"]

    def require(self, feed: Feed, where: str) -> None:
        """Labels are classes or ``IGNORED``, and some pixel has one."""
        found = False
        for positions in feed.chunks():
            labels = feed.targets(positions).flatten(1)
            counted = labels != IGNORED
            wrong = (counted & (labels >= self.classes)).nonzero()
            if len(wrong):
                row, pixel = wrong[0].tolist()
                raise UserError(
                    f"{where}: sample {int(feed.ids[positions[row]])} has label "
                    f"{int(labels[row, pixel])} at pixel {pixel}; expected 0 to "
                    f"{self.classes - 1}, or {IGNORED} where there is none"
                )
            found = found or bool(counted.any())
        if not found:
            raise UserError(f"{where}: no pixel of the {feed.name} has a label; expected some")

    def record(self) -> dict[str, Any]:
        """``class_weights``, a number a class, or null."""
        return {"class_weights": None if self.weights is None else list(self.weights)}

    def _weights(self, output: Tensor) -> Tensor:
        if self.weights is None:
            return output.new_ones(self.classes)
        return output.new_tensor(self.weights)


class _Score(Score):
    def __init__(self, objective: Segmentation) -> None:
        self._objective = objective
        self._counts = PixelCounts(objective.classes)
        self._nll = self._weight = 0.0

    def add(self, output: Tensor, target: Tensor) -> None:
        learned = self._objective.loss(output, target)
        weight = float(learned.weight)
        self._nll += float(learned.mean) * weight
        self._weight += weight
        self._counts.add(output.argmax(dim=-1), target)

    def values(self) -> dict[str, float]:
        return {
            "val_nll": self._nll / (self._weight or 1),  # of classes that training never sees
            "val_mean_iou": self._counts.mean_iou(),
        }


def class_counts(feed: Feed, classes: int) -> tuple[Tensor, Tensor]:
    """Of each class the pixels that have it, and the labelled pixels of samples where it occurs.

    Both ``(classes,)`` int64. A pixel labelled ``IGNORED`` counts nowhere.
    """
    pixels = torch.zeros(classes, dtype=torch.int64)
    beside = torch.zeros(classes, dtype=torch.int64)
    for positions in feed.chunks():
        for labels in feed.targets(positions).flatten(1).cpu():
            own = torch.bincount(labels[labels != IGNORED].long(), minlength=classes)
            pixels += own
            beside += (own > 0) * own.sum()
    return pixels, beside


def class_weights(rule: ClassWeights, pixels: Tensor, beside: Tensor) -> Tensor:
    """A weight a class, ``(classes,)`` float64, from ``class_counts``; 0 for one without a pixel.

    With ``f_c`` the share of class ``c`` among labelled pixels: ``inverse_frequency`` is ``1 /
    f_c``, so that classes count alike; ``median_frequency`` is ``median(g) / g_c``, ``g_c`` the
    share in those samples where the class occurs (Eigen and Fergus, arXiv:1411.4734);
    ``inverse_log_frequency`` is ``1 / log(1.02 + f_c)``, bounded (Paszke et al.,
    arXiv:1606.02147). Scaled so that a labelled pixel counts 1 on average, ``sum_c f_c w_c = 1``.
    Raises ``ValueError`` if no pixel has a label.
    """
    if not int(pixels.sum()):
        raise ValueError("pixels are none; expected some with a label")
    share = pixels.double() / pixels.sum()
    there = pixels > 0
    if rule == "inverse_frequency":
        found = 1 / share
    elif rule == "median_frequency":
        among = pixels.double() / beside
        found = torch.quantile(among[there], 0.5) / among
    elif rule == "inverse_log_frequency":
        found = 1 / (_OFFSET + share).log()
    else:
        found = torch.ones_like(share)
    found = torch.where(there, found, 0)
    return found / (share * found).sum()
