"""Which ``ensemble.chunk`` is fast: a few optimiser steps at each size, and what follows from them.

Nothing is decided here: the chunk may move weights by rounding, so it is a parameter.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import torch
from torch import Tensor

from geocore.config.ensemble import EnsembleParams
from geocore.config.model import ModelParams
from geocore.config.runtime import RuntimeParams
from geocore.config.train import TrainParams
from geocore.data.table import Table
from geocore.ensembles.engine import Data, start_ensemble, train_ensemble
from geocore.ensembles.ensemble_state import EnsembleState
from geocore.ensembles.losses import Loss, OfObjective
from geocore.ensembles.plan import Plan
from geocore.ensembles.seeds import member_seeds
from geocore.ensembles.stack import Build
from geocore.train.device import resolve
from geocore.train.feed import table_feed
from geocore.train.loop import steps_per_epoch
from geocore.train.network import network
from geocore.train.objective import objective

__all__ = ["Measured", "Tuning", "chunk_sizes", "ensemble_seconds", "measure", "suggested", "tune"]

_LEAST = 3  # steps that are timed, whatever the budget; one before them warms up
_ALIKE = 1.05  # times that differ by less are not told apart
_ENDLESS = 1_000_000  # epochs: time ends the measurement


@dataclass(frozen=True)
class Measured:
    """A chunk's size; seconds an optimiser step takes for each of its members; bytes of the stack
    that a member takes (weights, gradients, the optimiser's moments, best weights).
    """

    chunk: int
    step: float
    held: int


@dataclass(frozen=True)
class Tuning:
    """What was measured at each size, and the time that it predicts for the whole ensemble.

    ``seconds`` is by size, without validation and early stopping; ``steps`` are a member's;
    ``suggested`` is None where the budget was too short for any size but the first.
    """

    members: int
    steps: int
    processes: dict[int, int]
    measured: list[Measured]
    seconds: dict[int, float]
    suggested: int | None


class _EnoughError(Exception):
    """The time of a size is up."""


def chunk_sizes(members: int) -> list[int]:
    """1, 2, 4, ... and ``members`` itself."""
    return [*(2**power for power in range((members - 1).bit_length())), members]


def ensemble_seconds(
    step: float, chunk: int, members: int, steps: int, processes: int, start: float = 0.0
) -> float:
    """Time of an ensemble, of ``steps`` a member that take ``step`` seconds each.

    ``processes`` take the chunks in rounds: a round lasts as long as its largest chunk, and
    ``start`` besides, the seconds until a process is there.
    """
    whole, rest = divmod(members, chunk)
    rounds, left = divmod(whole, processes)
    last = chunk if left else rest
    return (rounds * chunk + last) * steps * step + (rounds + bool(last)) * start


def suggested(seconds: Mapping[int, float]) -> int:
    """The smallest chunk that is within 5 % of the fastest: a small one is lost less when killed.

    Raises ``ValueError`` for no sizes.
    """
    if not seconds:
        raise ValueError("seconds are none; expected one a size")
    fastest = min(seconds.values())
    return min(chunk for chunk, own in seconds.items() if own <= _ALIKE * fastest)


def measure(
    build: Build,
    seeds: Sequence[int],
    plan: Plan,
    training: Data,
    loss: Loss,
    device: torch.device,
    seconds: float,
) -> list[Measured]:
    """Steps at chunks of 1, 2, 4, ... up to all ``seeds``, in about ``seconds`` altogether.

    A size is left out, with all above it, where three steps of it are foreseen to take longer than
    what is left of the time; the first is always measured. Raises as ``start_ensemble`` and
    ``train_ensemble`` do, and ``ValueError`` for no time.
    """
    if not seconds > 0:
        raise ValueError(f"seconds is {seconds}; expected above 0")
    plan = dataclasses.replace(plan, epochs=_ENDLESS, patience=None)
    found: list[Measured] = []
    sizes = chunk_sizes(len(seeds))
    foreseen = 0.0  # seconds a member
    # The first network and the first steps import and tabulate what all later ones share.
    _seconds_a_step(start_ensemble(build, seeds[:1], plan, device), training, loss, 0.0)
    end = time.perf_counter() + seconds
    for place, chunk in enumerate(sizes):
        began = time.perf_counter()
        left = end - began
        if found and foreseen * chunk > left:
            break
        state = start_ensemble(build, seeds[:chunk], plan, device)
        built = (time.perf_counter() - began) / chunk
        share = left / (len(sizes) - place) - built * chunk
        step = _seconds_a_step(state, training, loss, share) / chunk
        foreseen = built + (_LEAST + 1) * step
        found.append(Measured(chunk, step, _held(state) // chunk))
    return found


def tune(
    model: ModelParams,
    train: TrainParams,
    ensemble: EnsembleParams,
    runtime: RuntimeParams,
    table: Table,
    seconds: float,
) -> Tuning:
    """What the stage ``ensemble`` would train, measured on its own table for some ``seconds``.

    Threads of torch are left as they are. Raises ``UserError`` as the stage does.
    """
    device = resolve(runtime.device)
    training = table_feed(table, "train", device, train.task)
    learned = objective(train, table.info.classes, training, str(table.folder))

    def build(seed: int) -> torch.nn.Module:
        return network(model, table.info.type, learned, seed)

    members = ensemble.members
    seeds = member_seeds(ensemble.seed, members)
    plan = Plan.of(train)
    measured = measure(build, seeds, plan, training, OfObjective(learned), device, seconds)
    steps = train.epochs * steps_per_epoch(len(training), train)
    processes = {own.chunk: runtime.processes(-(-members // own.chunk)) for own in measured}
    start = _seconds_to_start() if max(processes.values()) > 1 else 0.0
    predicted = {
        own.chunk: ensemble_seconds(
            own.step, own.chunk, members, steps, processes[own.chunk],
            start if processes[own.chunk] > 1 else 0.0,
        )
        for own in measured
    }  # fmt: skip
    told = len(measured) > 1 or members == 1
    return Tuning(
        members, steps, processes, measured, predicted, suggested(predicted) if told else None
    )


def _seconds_a_step(state: EnsembleState, training: Data, loss: Loss, seconds: float) -> float:
    """The median over ``seconds``, of all members together; the first step is not counted."""
    ends: list[float] = []
    last = time.perf_counter() + seconds

    def tick(state: EnsembleState) -> None:
        del state
        ends.append(time.perf_counter())
        if len(ends) > _LEAST and ends[-1] > last:
            raise _EnoughError

    with suppress(_EnoughError):
        train_ensemble(state, training, None, loss, on_step=tick)
    return median(after - before for before, after in pairwise(ends))


def _held(state: EnsembleState) -> int:
    """Bytes of everything that has a row a member."""
    held: list[Tensor] = [*state.stack.weights, *state.best_weights]
    for rows in state.stack.weights:
        moments = state.optimiser.state.get(rows, {}).values()
        held += [value for value in moments if isinstance(value, Tensor) and value.ndim]
        held += [] if rows.grad is None else [rows.grad]
    return sum(value.numel() * value.element_size() for value in held)


def _seconds_to_start() -> float:
    """Until a worker process has imported what it needs."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import geocore.ensembles.worker"], check=False)
    return time.perf_counter() - began
