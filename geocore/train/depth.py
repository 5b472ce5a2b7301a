"""A depth a pixel: regression of the standardised depth, masked where there is none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from geocore.config.train import TrainParams
from geocore.errors import UserError
from geocore.train.feed import Feed
from geocore.train.objective import Learned, Objective, Score, Task

__all__ = ["Depth"]

_LOSSES = ("l1", "l2", "huber", "gaussian_nll")
_SCALES = ("linear", "log")


@dataclass(frozen=True)
class Depth(Objective):
    """Mean over pixels with a depth ``d > 0`` of a loss of ``e = z - o_0``.

    ``z = (d - mean) / std``, or with ``scale="log"`` ``z = (log d - mean) / std``, standardised by
    the pixels of the training split. ``l1`` is ``|e|``, ``l2`` ``e^2``, ``huber`` ``e^2 / 2`` for
    ``|e| < 1`` and ``|e| - 1/2`` beyond, and ``gaussian_nll`` ``(s + e^2 exp(-s)) / 2``, where the
    second output ``s`` is the logarithm of the variance (Nix and Weigend, 1994). A depth of 0
    marks the background and pixels that see nothing: they do not count. The best weights have the
    lowest loss on the validation split. Source of standardised metres with masked background:
    HEAL-SWIN, arXiv:2307.07313, section 4.2.
    """

    task: ClassVar[Task] = "depth"
    names: ClassVar[tuple[str, ...]] = ("train_loss", "val_loss", "val_rmse")

    loss_name: Literal["l1", "l2", "huber", "gaussian_nll"]
    scale: Literal["linear", "log"]
    mean: float
    std: float

    def __post_init__(self) -> None:
        if self.loss_name not in _LOSSES or self.scale not in _SCALES:
            raise ValueError(
                f"loss_name and scale are {self.loss_name} and {self.scale}; expected one of "
                f"{', '.join(_LOSSES)} and one of {', '.join(_SCALES)}"
            )
        if not (math.isfinite(self.mean) and math.isfinite(self.std) and self.std > 0):
            raise ValueError(
                f"mean and std are {self.mean} and {self.std}; expected finite ones, std above 0"
            )

    @classmethod
    def of(cls, params: TrainParams, training: Feed, where: str) -> Depth:
        """Standardised by the depths of ``training``, once they are seen to be depths."""
        if params.loss == "cross_entropy" or params.depth_scale is None:  # as TrainParams refuses
            raise ValueError(f"params are of {params.task}; expected those of depth")
        cls(params.loss, params.depth_scale, 0.0, 1.0).require(training, where)
        mean, std = _moments(training, params.depth_scale)
        if std == 0:
            raise UserError(
                f"{where}: all depths of the {training.name} are {mean}; expected different ones"
            )
        return cls(params.loss, params.depth_scale, mean, std)

    @property
    def outputs(self) -> int:
        """The standardised depth, and for ``gaussian_nll`` the logarithm of its variance."""
        return 2 if self.loss_name == "gaussian_nll" else 1

    def metres(self, output: Tensor) -> Tensor:
        """The depth that outputs stand for: ``(..., outputs)`` -> ``(...)`` metres.

        ``mean + std o_0``, or its exponential: the median of the distribution that is predicted.
        """
        found = self.mean + self.std * output[..., 0]
        return found.exp() if self.scale == "log" else found

    def loss(self, output: Tensor, target: Tensor) -> Learned:
        """``output (batch, ..., outputs)``, ``target (batch, ...)`` metres or 0."""
        counted = target > 0
        output = torch.where(counted[..., None], output, 0)  # a NaN there counts no more than a 1
        error = _scaled(torch.where(counted, target, 1), self.scale)
        error = (error - self.mean) / self.std - output[..., 0]
        if self.loss_name == "l1":
            found = error.abs()
        elif self.loss_name == "l2":
            found = error.square()
        elif self.loss_name == "huber":
            size = error.abs()
            found = torch.where(size < 1, error.square() / 2, size - 0.5)
        else:
            log_variance = output[..., 1]
            found = (log_variance + error.square() * (-log_variance).exp()) / 2
        count = counted.sum()
        mean = torch.where(counted, found, 0).sum() / count.clamp_min(1)
        return Learned(mean, mean, count)

    def score(self) -> Score:
        """``val_loss``, and ``val_rmse`` in metres."""
        return _Score(self)

    def criterion(self, row: Mapping[str, float]) -> float:
        """The validation loss."""
        return row["val_loss"]

    def require(self, feed: Feed, where: str) -> None:
        """Depths are finite and not negative, and some pixel has one."""
        found = False
        for positions in feed.chunks():
            depths = feed.targets(positions).flatten(1)
            wrong = (~(depths.isfinite() & (depths >= 0))).nonzero()
            if len(wrong):
                row, pixel = wrong[0].tolist()
                raise UserError(
                    f"{where}: sample {int(feed.ids[positions[row]])} has depth "
                    f"{float(depths[row, pixel])} at pixel {pixel}; expected metres, or 0 where "
                    "there is none"
                )
            found = found or bool((depths > 0).any())
        if not found:
            raise UserError(f"{where}: no pixel of the {feed.name} has a depth; expected some")

    def record(self) -> dict[str, Any]:
        """``loss``, ``scale``, ``mean`` and ``std``."""
        named = asdict(self)
        return {"loss": named.pop("loss_name"), **named}


class _Score(Score):
    def __init__(self, objective: Depth) -> None:
        self._objective = objective
        self._loss = self._square = 0.0
        self._count = 0

    def add(self, output: Tensor, target: Tensor) -> None:
        learned = self._objective.loss(output.double(), target.double())
        count = int(learned.weight)
        off = self._objective.metres(output.double()) - target
        self._loss += float(learned.mean) * count
        self._square += float(torch.where(target > 0, off.square(), 0).sum())
        self._count += count

    def values(self) -> dict[str, float]:
        return {
            "val_loss": self._loss / self._count,
            "val_rmse": math.sqrt(self._square / self._count),
        }


def _scaled(metres: Tensor, scale: str) -> Tensor:
    return metres.log() if scale == "log" else metres


def _moments(feed: Feed, scale: str) -> tuple[float, float]:
    """Mean and standard deviation over the pixels with a depth, in two passes over them."""
    total, square, count = 0.0, 0.0, 0
    for positions in feed.chunks():
        depths = feed.targets(positions)
        values = _scaled(depths[depths > 0].double(), scale)
        total, count = total + float(values.sum()), count + len(values)
    mean = total / count
    for positions in feed.chunks():
        depths = feed.targets(positions)
        square += float((_scaled(depths[depths > 0].double(), scale) - mean).square().sum())
    return mean, math.sqrt(square / count)
