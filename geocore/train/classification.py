"""A class a sample: cross-entropy, and accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from geocore.config.train import TrainParams
from geocore.train.feed import Feed
from geocore.train.objective import Learned, Objective, Score, Task

__all__ = ["Classification"]


@dataclass(frozen=True)
class Classification(Objective):
    """``-log p(label)``, ``p = softmax(output)``; with smoothing ``s`` the target is ``(1 - s)
    onehot + s / classes``.

    ``classes`` may be left at 0 where only losses and scores are asked for. The curve shows the
    mean without smoothing. The best weights have the lowest validation NLL.
    """

    task: ClassVar[Task] = "classification"
    names: ClassVar[tuple[str, ...]] = ("train_nll", "val_nll", "val_accuracy")

    classes: int = 0
    label_smoothing: float = 0.0

    @classmethod
    def of(cls, params: TrainParams, classes: int, training: Feed, where: str) -> Classification:
        """What ``params`` ask for, once the labels of ``training`` are seen to be classes."""
        made = cls(classes, params.label_smoothing)
        made.require(training, where)
        return made

    @property
    def outputs(self) -> int:
        """A logit a class."""
        return self.classes

    def loss(self, output: Tensor, target: Tensor) -> Learned:
        """``output (batch, classes)``, ``target (batch,)`` int64."""
        log_p = F.log_softmax(output, dim=1)
        nll = F.nll_loss(log_p, target)
        smooth = self.label_smoothing
        loss = (1 - smooth) * nll - smooth * log_p.mean() if smooth else nll
        return Learned(loss, nll, torch.tensor(len(target), device=output.device))

    def score(self) -> Score:
        """``val_nll`` and ``val_accuracy``."""
        return _Score()

    def criterion(self, row: Mapping[str, float]) -> float:
        """The validation NLL."""
        return row["val_nll"]

    def require(self, feed: Feed, where: str) -> None:
        """Labels are classes."""
        feed.require_classes(self.classes, where)


class _Score(Score):
    def __init__(self) -> None:
        self._nll, self._right, self._count = 0.0, 0, 0

    def add(self, output: Tensor, target: Tensor) -> None:
        self._nll += float(F.cross_entropy(output.double(), target, reduction="sum"))
        self._right += int((output.argmax(dim=1) == target).sum())
        self._count += len(target)

    def values(self) -> dict[str, float]:
        return {"val_nll": self._nll / self._count, "val_accuracy": self._right / self._count}
