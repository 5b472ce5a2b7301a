"""How the members of an ensemble are trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from geocore.config.train import TrainParams
from geocore.train.schedule import learning_rate

__all__ = ["Plan"]


@dataclass(frozen=True)
class Plan:
    """Every member alike: steps, rates, clipping, stopping.

    ``optimiser`` is AdamW (Adam where ``weight_decay`` is 0) or SGD with ``momentum``; decay acts
    on the weights of linear maps and convolutions alone. The rate is ``lr``, or with ``cosine``
    what ``geocore.train.schedule`` gives. A gradient is scaled down to ``clip_norm``, each member's
    by its own norm. A member stops after ``patience`` epochs without a better validation score, and
    its best weights count; without a validation split its last ones do.

    ``order``: each member has an order of its own of the samples, and augmentation of its own, or
    all share those of the first seed of the stack: then what stands first decides the others too.
    Raises ``ValueError`` for what makes no sense.
    """

    epochs: int
    batch_size: int
    lr: float
    optimiser: Literal["adamw", "sgd"] = "adamw"
    momentum: float = 0.0
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_epochs: int = 0
    clip_norm: float | None = None
    patience: int | None = None
    order: Literal["own", "shared"] = "own"

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected at least 1")
        if not self.lr > 0:
            raise ValueError(f"lr is {self.lr}; expected above 0")
        for name in ("weight_decay", "momentum", "warmup_epochs"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected at least 0")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ValueError(f"clip_norm is {self.clip_norm}; expected above 0, or None")
        if self.patience is not None and self.patience < 1:
            raise ValueError(f"patience is {self.patience}; expected at least 1, or None")
        if self.momentum and self.optimiser != "sgd":
            raise ValueError(f"momentum is {self.momentum} with {self.optimiser}; expected 0")
        for name, known in (
            ("optimiser", ("adamw", "sgd")),
            ("schedule", ("constant", "cosine")),
            ("order", ("own", "shared")),
        ):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}; expected {' or '.join(known)}"
                )

    @classmethod
    def of(cls, params: TrainParams) -> Plan:
        """What ``geocore.train`` does with a network."""
        return cls(
            epochs=params.epochs,
            batch_size=params.batch_size,
            lr=params.lr,
            weight_decay=params.weight_decay,
            schedule="cosine",
            warmup_epochs=params.warmup_epochs,
            clip_norm=params.clip_norm,
            patience=params.patience,
        )

    def rate(self, step: int, per_epoch: int) -> float:
        """The learning rate of a step, of so many an epoch."""
        if self.schedule == "constant":
            warmup = self.warmup_epochs * per_epoch
            return self.lr * min(1.0, (step + 1) / warmup) if warmup else self.lr
        total = self.epochs * per_epoch
        warmup = min(self.warmup_epochs * per_epoch, total)
        return learning_rate(step, peak=self.lr, warmup=warmup, total=total)
