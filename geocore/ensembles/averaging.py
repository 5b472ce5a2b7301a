"""More of one training: snapshots of a cyclic rate, and averages of the last weights.

Both are callbacks ``on_epoch`` of ``train_ensemble``, and take the weights of all members at once,
in the layout of the stack. They are no part of a checkpoint: where a training goes on from one,
they have only what they saw since.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from geocore.ensembles.ensemble_state import EnsembleState
from geocore.ensembles.plan import Plan
from geocore.ensembles.stack import Stack

__all__ = ["Averaged", "CyclicPlan", "Snapshots", "holding"]

Rows = tuple[Tensor, ...]


@dataclass(frozen=True)
class CyclicPlan(Plan):
    """Cycles of ``cycle`` epochs, each with the rate ``lr / 2 (1 + cos(pi t / T))``.

    ``t`` is the step in the cycle, from 0, and ``T`` the steps of a cycle: the rate falls from
    ``lr`` to nearly 0 and starts anew, and each cycle ends in a minimum of its own (Snapshot
    ensembles, 1704.00109, eq. 2). With it goes ``Snapshots(cycle)``.

    Raises ``ValueError`` as ``Plan``, unless ``epochs`` are whole cycles, and for a warm-up or
    another schedule besides.
    """

    cycle: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cycle < 1 or self.epochs % self.cycle:
            raise ValueError(f"cycle is {self.cycle}; expected a divisor of {self.epochs} epochs")
        if self.schedule != "constant" or self.warmup_epochs:
            found = f"{self.schedule} with {self.warmup_epochs} warmup_epochs"
            raise ValueError(f"schedule is {found}; expected constant without, the cycles are it")

    def rate(self, step: int, per_epoch: int) -> float:
        """The learning rate of a step, of so many an epoch."""
        length = self.cycle * per_epoch
        return self.lr / 2 * (1 + math.cos(math.pi * (step % length) / length))


class Snapshots:
    """Copies of all members' weights after every ``cycle`` epochs, in ``taken``.

    ``taken[i]`` are two tensors ``(members, P)`` in the stack's layout. ``S`` snapshots of each of
    ``M`` members make an ensemble of ``S M``. Raises ``ValueError`` for a cycle below 1; when
    called, for a plan with ``patience``: the optimiser's moments still move who has stopped.
    """

    def __init__(self, cycle: int) -> None:
        if cycle < 1:
            raise ValueError(f"cycle is {cycle}; expected at least 1 epoch")
        self.cycle = cycle
        self.taken: list[Rows] = []

    def __call__(self, state: EnsembleState) -> None:
        """Take one where a cycle ends."""
        _require_no_patience(state)
        if state.epoch % self.cycle == 0:
            self.taken.append(tuple(rows.clone() for rows in state.stack.weights))

    def state_dicts(self, stack: Stack, member: int) -> list[dict[str, Tensor]]:
        """A member's snapshots, the earliest first, as networks load them."""
        return [stack.state_dict(member, rows) for rows in self.taken]


class Averaged:
    """The running mean ``w_n = w_{n-1} + (w - w_{n-1}) / n`` of each member's weights.

    It is over the ends of the epochs after the first ``after``, every ``every``-th of them:
    stochastic weight averaging (1803.05407, algorithm 1), of every member by itself: multi-SWA
    (2002.08791). A rate that is constant, or cyclic with ``every`` the cycle, is what it is made
    for. Networks have no statistics of batches that would have to be estimated anew.

    ``weights`` are two tensors ``(members, P)`` in the stack's layout, and their mean is over
    ``count`` epochs. Raises ``ValueError`` for counts that make no sense, for weights that were not
    averaged yet, and when called as ``Snapshots`` does.
    """

    def __init__(self, after: int, every: int = 1) -> None:
        if after < 0 or every < 1:
            raise ValueError(f"after is {after} and every {every}; expected at least 0 and 1")
        self.after, self.every = after, every
        self.count = 0
        self._mean: Rows = ()

    def __call__(self, state: EnsembleState) -> None:
        """Take the epoch's last weights in."""
        _require_no_patience(state)
        behind = state.epoch - self.after
        if behind < 1 or behind % self.every:
            return
        self.count += 1
        if self.count == 1:
            self._mean = tuple(rows.clone() for rows in state.stack.weights)
            return
        for mean, rows in zip(self._mean, state.stack.weights, strict=True):
            mean += (rows - mean) / self.count

    @property
    def weights(self) -> Rows:
        """The mean of all members."""
        if not self.count:
            raise ValueError(f"no epoch after {self.after} was averaged; expected at least one")
        return self._mean

    def state_dict(self, stack: Stack, member: int) -> dict[str, Tensor]:
        """A member's mean, as its network loads it."""
        return stack.state_dict(member, self.weights)


@contextmanager
def holding(stack: Stack, weights: Sequence[Tensor]) -> Iterator[None]:
    """The stack computes with ``weights`` inside the ``with`` block, and then with its own again.

    ``weights`` are in its layout. Raises ``ValueError`` for tensors of other shapes.
    """
    shapes = [tuple(rows.shape) for rows in weights]
    expected = [tuple(rows.shape) for rows in stack.weights]
    if shapes != expected:
        raise ValueError(f"weights have shapes {shapes}; expected {expected}, as the stack's")
    kept = [rows.clone() for rows in stack.weights]
    try:
        _put(stack, weights)
        yield
    finally:
        _put(stack, kept)


def _put(stack: Stack, weights: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for rows, given in zip(stack.weights, weights, strict=True):
            rows.copy_(given)  # in place: members are views


def _require_no_patience(state: EnsembleState) -> None:
    if state.plan.patience is not None:
        raise ValueError(f"patience is {state.plan.patience}; expected None, so that all go on")
