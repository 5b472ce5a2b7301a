"""Where the training of an ensemble stands: all that the rest of it depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from geocore.ensembles.plan import Plan
from geocore.ensembles.programs import OneByOne, Program
from geocore.train.state import Row

__all__ = ["EnsembleState", "Member"]

_COUNTERS = ("step", "epoch", "batch")
_LISTS = ("stale", "curves", "best", "least")


@dataclass(frozen=True)
class Member:
    """A trained member: the best weights by name, its curve, and the row of the best epoch."""

    seed: int
    weights: dict[str, Tensor]
    curve: list[Row]
    best: Row

    def summary(self, names: Sequence[str], steps: int) -> Row:
        """How the training went, as ``TrainState.summary`` has it; ``steps`` are an epoch's."""
        return {
            "best_epoch": self.best["epoch"],
            "epochs": len(self.curve),
            "steps": len(self.curve) * steps,
            **{name: self.best[name] for name in names},
        }


class EnsembleState:
    """Weights, moments, place in the data order, random states, best weights and curves.

    Two trainings whose states agree at one step agree at every later one. ``sums (members, 3)`` are
    those of the epoch under way: the mean times its weight, the weight, the gradient's norm.
    """

    def __init__(self, program: Program, plan: Plan) -> None:
        self.program, self.stack, self.plan = program, program.stack, plan
        members = len(self.stack)
        self.step, self.epoch, self.batch = 0, 0, 0
        self.sums = torch.zeros(members, 3, dtype=torch.float64)
        self.stale = [0] * members
        self.curves: list[list[Row]] = [[] for _ in range(members)]
        self.best: list[Row | None] = [None] * members
        self.least: list[float | None] = [None] * members  # the criterion of the best row
        self.best_weights = tuple(rows.clone() for rows in self.stack.weights)
        self.optimiser = _optimiser(self.stack.weights, plan)

    @property
    def active(self) -> list[bool]:
        """Which members still train."""
        patience = self.plan.patience
        return [patience is None or stale < patience for stale in self.stale]

    def end_epoch(self, member: int, row: Row, criterion: float | None) -> None:
        """Take in a member's row; its weights are the best yet if ``criterion`` says so.

        Without one (no validation split) the last weights are.
        """
        self.curves[member].append(row)
        least = self.least[member]
        if criterion is None or least is None or criterion < least:
            self.least[member] = criterion
            self.best[member], self.stale[member] = row, 0
            for best, rows in zip(self.best_weights, self.stack.weights, strict=True):
                best[member] = rows[member]
        else:
            self.stale[member] += 1

    def members(self) -> list[Member]:
        """What the training has come to, a member a seed."""
        found = []
        for number, seed in enumerate(self.stack.seeds):
            best = self.best[number]
            assert best is not None  # every training ends an epoch, and the first is the best yet
            weights = self.stack.state_dict(number, self.best_weights)
            found.append(Member(seed, weights, self.curves[number], best))
        return found

    def headline(self) -> str:
        """The mean of the members' scores of the last epoch in words, empty before the first."""
        rows = [curve[-1] for curve in self.curves if curve]
        names = [name for name in rows[0] if name.startswith("val_")] if rows else []
        told = [
            f"{name.removeprefix('val_').replace('_', ' ')} "
            f"{sum(row[name] for row in rows) / len(rows):.4f}"
            for name in names
        ]
        return f"validation {', '.join(told)}" if told else ""

    def tensors(self) -> dict[str, Tensor]:
        """``weights.N``, ``best.N``, ``optimiser.N.MOMENT``, ``sums`` and ``rng.*``."""
        parts = {"sums": self.sums}
        for number, rows in enumerate(self.stack.weights):
            parts[f"weights.{number}"] = rows
            parts[f"best.{number}"] = self.best_weights[number]
            for moment, value in self.optimiser.state.get(rows, {}).items():
                if isinstance(value, Tensor):  # SGD without momentum keeps None
                    parts[f"optimiser.{number}.{moment}"] = value
        if isinstance(self.program, OneByOne):
            for name in self.program.rng[0]:
                parts[f"rng.{name}"] = torch.stack([state[name] for state in self.program.rng])
        return {name: value.detach().contiguous() for name, value in parts.items()}

    def numbers(self) -> dict[str, Any]:
        """The rest, as plain values."""
        return {
            "version": 1,
            "seeds": list(self.stack.seeds),
            **{name: getattr(self, name) for name in (*_COUNTERS, *_LISTS)},
        }

    def restore(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Take over a state of the same ensemble. Raises ``ValueError`` for one that is not."""
        if numbers.get("version") != 1:
            raise ValueError(f"the state's version is {numbers.get('version')}; expected 1")
        if numbers["seeds"] != list(self.stack.seeds):
            raise ValueError(
                f"the state's seeds are {numbers['seeds']}; expected {list(self.stack.seeds)}"
            )
        for number, rows in enumerate(self.stack.weights):
            if tensors[f"weights.{number}"].shape != rows.shape:
                raise ValueError("the state's weights are those of another network")
            rows.copy_(tensors[f"weights.{number}"])
            self.best_weights[number].copy_(tensors[f"best.{number}"])
            moments = {
                name.rpartition(".")[2]: value.to(rows.device, copy=True)
                for name, value in tensors.items()
                if name.startswith(f"optimiser.{number}.")
            }
            if moments:
                self.optimiser.state[rows] = moments
        self.sums = tensors["sums"].clone()
        if isinstance(self.program, OneByOne):
            states = {n[4:]: rows for n, rows in tensors.items() if n.startswith("rng.")}
            self.program.rng = [
                {name: rows[member].clone() for name, rows in states.items()}
                for member in range(len(self.stack))
            ]
        for name in (*_COUNTERS, *_LISTS):
            setattr(self, name, numbers[name])


def _optimiser(weights: Sequence[Tensor], plan: Plan) -> torch.optim.Optimizer:
    """One for all members: it works number by number, so that no member sees another."""
    decays = (plan.weight_decay, 0.0)
    groups = [
        {"params": [rows], "weight_decay": decay}
        for rows, decay in zip(weights, decays, strict=True)
        if rows.numel()
    ]
    if plan.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=plan.lr, momentum=plan.momentum, fused=True)
    return torch.optim.AdamW(groups, lr=plan.lr, fused=True)
