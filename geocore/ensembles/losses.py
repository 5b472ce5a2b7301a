"""What members learn, of many at once: losses over stacked outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from geocore.train.classification import Classification
from geocore.train.objective import Learned, Objective, Score

__all__ = ["CrossEntropy", "Loss", "OfObjective", "SquaredError"]


class Loss(ABC):
    """``learned(outputs, targets)``: of each member its loss, a mean for the curve, its weight.

    ``outputs (members, batch, ...)``, ``targets (members, batch, ...)``; the three fields of what
    comes back are ``(members,)``. No member's part depends on another's. ``names`` are the curve's
    columns: the training mean, then the scores of the validation split.
    """

    names: ClassVar[tuple[str, ...]]

    @abstractmethod
    def learned(self, outputs: Tensor, targets: Tensor) -> Learned:
        """The three of each member."""

    @abstractmethod
    def score(self) -> Score:
        """A new score of one member, without samples."""

    @abstractmethod
    def criterion(self, row: Mapping[str, float]) -> float:
        """Of a row of the curve: the lower, the better the weights."""


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """``-log softmax(output)[label]``, the mean over the batch; with smoothing ``s`` the target is
    ``(1 - s) onehot + s / classes``.

    ``outputs (members, batch, classes)``, ``targets (members, batch)`` int64. It is
    ``geocore.train``'s ``Classification`` for many members at once.
    """

    names: ClassVar[tuple[str, ...]] = Classification.names

    label_smoothing: float = 0.0

    def learned(self, outputs: Tensor, targets: Tensor) -> Learned:
        # Classes in the middle: so a batched program makes them, and samples are many.
        log_p = outputs.mT.log_softmax(dim=1)
        nll = -log_p.gather(1, targets[:, None])[:, 0].mean(dim=1)
        smooth = self.label_smoothing
        loss = (1 - smooth) * nll - smooth * log_p.mean(dim=(1, 2)) if smooth else nll
        return Learned(loss, nll, torch.full_like(nll, targets.shape[1]))

    def score(self) -> Score:
        """``val_nll`` and ``val_accuracy``."""
        return Classification().score()

    def criterion(self, row: Mapping[str, float]) -> float:
        """The validation NLL."""
        return row["val_nll"]


@dataclass(frozen=True)
class SquaredError(Loss):
    """``mean_i (output_i - target_i)^2`` over batch and outputs, of equal shapes."""

    names: ClassVar[tuple[str, ...]] = ("train_mse", "val_mse")

    def learned(self, outputs: Tensor, targets: Tensor) -> Learned:
        if outputs.shape != targets.shape:
            found = f"{tuple(outputs.shape)} and {tuple(targets.shape)}"
            raise ValueError(f"outputs and targets have shapes {found}; expected one")
        mse = (outputs - targets).square().flatten(1).mean(dim=1)
        return Learned(mse, mse, torch.full_like(mse, targets.shape[1]))

    def score(self) -> Score:
        """``val_mse``."""
        return _SquaredScore()

    def criterion(self, row: Mapping[str, float]) -> float:
        """The validation error."""
        return row["val_mse"]


class OfObjective(Loss):
    """An objective of ``geocore.train``, member by member."""

    names: tuple[str, ...]  # type: ignore[misc]

    def __init__(self, objective: Objective) -> None:
        self.objective, self.names = objective, objective.names

    def learned(self, outputs: Tensor, targets: Tensor) -> Learned:
        found = [self.objective.loss(*pair) for pair in zip(outputs, targets, strict=True)]
        return Learned(*(torch.stack(list(values)) for values in zip(*found, strict=True)))

    def score(self) -> Score:
        return self.objective.score()

    def criterion(self, row: Mapping[str, float]) -> float:
        return self.objective.criterion(row)


class _SquaredScore(Score):
    def __init__(self) -> None:
        self._sum, self._count = 0.0, 0

    def add(self, output: Tensor, target: Tensor) -> None:
        self._sum += float((output.double() - target.double()).square().sum())
        self._count += target.numel()

    def values(self) -> dict[str, float]:
        return {"val_mse": self._sum / self._count}
