"""Where a training stands: all that the rest of it depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from geocore.config.train import TrainParams
from geocore.train.optimiser import make_optimiser

__all__ = ["Row", "TrainState"]

Row = dict[str, float]
_COUNTERS = ("step", "epoch", "batch", "loss_sum", "count", "norm_sum", "stale")


@dataclass
class TrainState:
    """Weights, moments, place in the data order, random states, best weights and curve.

    Two trainings whose states agree at one step agree at every later one. ``tensors`` and
    ``numbers`` are the state in parts that safetensors and JSON hold exactly; ``restore`` is the
    inverse of the pair. ``batch`` counts the batches of ``epoch`` that are done, ``stale`` the
    epochs since the best one; ``count`` is what the loss of the epoch under way is a mean over,
    and the sums are of that epoch.
    """

    model: nn.Module
    optimiser: torch.optim.AdamW
    device: torch.device
    step: int = 0
    epoch: int = 0
    batch: int = 0
    loss_sum: float = 0.0
    count: float = 0.0
    norm_sum: float = 0.0
    stale: int = 0
    best: Row | None = None
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    rng: dict[str, Tensor] = field(default_factory=dict)
    curve: list[Row] = field(default_factory=list)

    @classmethod
    def start(cls, model: nn.Module, params: TrainParams, device: torch.device) -> TrainState:
        """The state before the first step; the model is moved to ``device``."""
        model = model.to(device)
        return cls(model, make_optimiser(model, params.lr, params.weight_decay), device)

    def summary(self, names: Sequence[str]) -> Row:
        """How the training went: ``names`` are the columns of the best epoch that are told."""
        assert self.best is not None  # every training ends an epoch, and the first is the best yet
        return {
            "best_epoch": self.best["epoch"],
            "epochs": self.epoch,
            "steps": self.step,
            **{name: self.best[name] for name in names},
        }

    def headline(self) -> str:
        """The validation scores of the last epoch in words, empty before the first."""
        scores = self.curve[-1].items() if self.curve else ()
        told = [
            f"{name.removeprefix('val_').replace('_', ' ')} {value:.4f}"
            for name, value in scores
            if name.startswith("val_")
        ]
        return f"validation {', '.join(told)}" if told else ""

    def tensors(self) -> dict[str, Tensor]:
        """``model.*``, ``best.*``, ``adam.PARAMETER.MOMENT`` and ``rng.*``."""
        parts = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        parts |= {f"best.{name}": value for name, value in self.best_weights.items()}
        for name, parameter in self.model.named_parameters():
            for moment, value in self.optimiser.state.get(parameter, {}).items():
                parts[f"adam.{name}.{moment}"] = value
        parts |= {f"rng.{name}": value for name, value in self.rng.items()}
        return {name: value.detach().contiguous() for name, value in parts.items()}

    def numbers(self) -> dict[str, Any]:
        """The rest, as plain values."""
        return {
            "version": 2,
            **{name: getattr(self, name) for name in _COUNTERS},
            "best": self.best,
            "curve": self.curve,
        }

    def restore(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Take over a state of the same network. Raises ``ValueError`` for one that is not."""
        if numbers.get("version") != 2:
            raise ValueError(f"the state's version is {numbers.get('version')}; expected 2")
        weights = _below(tensors, "model.")
        expected = self.model.state_dict()
        shapes = {name: tuple(value.shape) for name, value in weights.items()}
        if shapes != {name: tuple(value.shape) for name, value in expected.items()}:
            raise ValueError("the state's weights are those of another network")
        self.model.load_state_dict(weights)
        for name, parameter in self.model.named_parameters():
            moments = _below(tensors, f"adam.{name}.")
            if moments:
                self.optimiser.state[parameter] = self._moved(moments)
        self.best_weights = self._moved(_below(tensors, "best."))
        self.rng = {name: value.clone() for name, value in _below(tensors, "rng.").items()}
        for name in (*_COUNTERS, "best", "curve"):
            setattr(self, name, numbers[name])

    def _moved(self, parts: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: value.to(self.device, copy=True) for name, value in parts.items()}


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
