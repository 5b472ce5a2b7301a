"""Training many members of an ensemble as one program, each exactly as if it were alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from geocore.ensembles.ensemble_state import EnsembleState, Member
from geocore.ensembles.losses import Loss
from geocore.ensembles.noise import Noise
from geocore.ensembles.plan import Plan
from geocore.ensembles.programs import Strategy, program
from geocore.ensembles.stack import Build, Stack
from geocore.errors import UserError
from geocore.train.guard import culprit
from geocore.train.randomness import deterministic, epoch_order

__all__ = ["Augment", "Data", "Samples", "start_ensemble", "train_ensemble"]

Augment = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]
"""Inputs, targets and a generator of the member's own -> what it learns from instead."""

Callback = Callable[[EnsembleState], None]

_AUGMENTATION = 5  # the stream of a seed that augmentation draws from


class Data(Protocol):
    """Samples by position, as ``geocore.train.feed.Feed`` is: a batch is inputs and targets."""

    @property
    def ids(self) -> Tensor:
        """What errors call the samples."""

    def __len__(self) -> int: ...

    def __call__(self, positions: Tensor, /) -> tuple[Tensor, Tensor]: ...


class Samples:
    """Inputs ``(n, ...)`` and targets ``(n, ...)`` in memory; a sample's id is its place.

    Raises ``ValueError`` for no samples, or another number of targets.
    """

    def __init__(self, inputs: Tensor, targets: Tensor) -> None:
        if len(inputs) == 0 or len(inputs) != len(targets):
            found = f"{len(inputs)} inputs and {len(targets)} targets"
            raise ValueError(f"samples are {found}; expected one of each, at least one")
        self.inputs, self.targets = inputs, targets
        self.ids = torch.arange(len(inputs))

    def __len__(self) -> int:
        return len(self.inputs)

    def __call__(self, positions: Tensor, /) -> tuple[Tensor, Tensor]:
        at = positions.to(self.inputs.device)
        return self.inputs[at], self.targets[at]


def start_ensemble(
    build: Build,
    seeds: Sequence[int],
    plan: Plan,
    device: torch.device | None = None,
    strategy: Strategy = "auto",
) -> EnsembleState:
    """The state before the first step: a member a seed, its weights those of ``build(seed)``.

    ``strategy`` moves no result beyond rounding (``programs.py``). Raises ``ValueError`` for what
    cannot be stacked (``Stack``).
    """
    stack = Stack(build, seeds, torch.device("cpu") if device is None else device)
    return EnsembleState(program(stack, strategy), plan)


def train_ensemble(
    state: EnsembleState,
    training: Data,
    validation: Data | None,
    loss: Loss,
    *,
    augment: Augment | None = None,
    prior: Mapping[str, float] | None = None,
    checkpoint_every: int = 0,
    on_checkpoint: Callback | None = None,
    on_step: Callback | None = None,
    on_epoch: Callback | None = None,
) -> list[Member]:
    """Go on from ``state`` to the end; the members, in the order of their seeds.

    A member is, up to rounding, the one that an ensemble of it alone gives: its seed decides its
    initial weights, the order of its samples, its noise and its augmentation; its gradient is
    clipped by its own norm; its own validation scores stop it and choose its best weights. With a
    member's networks free of stochastic layers it is what ``geocore.train.loop.train`` gives.

    ``prior``: the coefficient ``c`` of each parameter in ``1/2 sum c |w|^2``, added to the loss;
    for a Gaussian prior ``N(0, sigma^2)`` on ``N`` samples ``c_l / (N sigma^2)``, with ``c_l`` of
    ``geocore.models.stochastic.prior``. ``checkpoint_every`` steps (0: never) ``on_checkpoint`` is
    called with a state that may be stored and restored (``ensemble_state.py``).

    Raises ``UserError`` when a member's loss or gradient is not finite: member, step and culprit in
    one line. Nothing is called back after that.
    """
    plan, running = state.plan, state.program
    per_epoch = math.ceil(len(training) / plan.batch_size)
    pull = None if prior is None else state.stack.coefficients(prior)
    noise = None
    if running.stochastic:
        noise = Noise(state.stack.seeds, "training", plan.batch_size, running.stochastic)
    with deterministic(state.stack.seeds[0], state.stack.device):
        while state.epoch < plan.epochs and any(state.active):
            orders = _orders(state.stack.seeds, len(training), state.epoch, plan.order)
            for _ in range(state.batch, per_epoch):
                _step(state, orders, training, loss, augment, pull, noise, per_epoch)
                if state.batch == per_epoch:
                    _end_epoch(state, validation, loss, per_epoch)
                    if on_epoch is not None:
                        on_epoch(state)
                if on_step is not None:
                    on_step(state)
                due = checkpoint_every and state.step % checkpoint_every == 0
                if due and on_checkpoint is not None:
                    on_checkpoint(state)
    return state.members()


def _step(
    state: EnsembleState,
    orders: Tensor,
    training: Data,
    loss: Loss,
    augment: Augment | None,
    pull: Sequence[Tensor] | None,
    noise: Noise | None,
    per_epoch: int,
) -> None:
    plan, stack = state.plan, state.stack
    positions = orders[:, state.batch * plan.batch_size : (state.batch + 1) * plan.batch_size]
    active = state.active

    def batch(members: range) -> tuple[Tensor, Tensor]:
        return _batch(training, positions, members, augment, stack.seeds, state.step)

    stack.zero_grad()
    learned = state.program.gradients(batch, positions.shape[1], loss, noise, state.step, active)
    grads = [rows.grad for rows in stack.weights if rows.grad is not None]
    if pull is not None:
        for grad, rows, factor in zip(grads, stack.weights, pull, strict=True):
            grad.addcmul_(rows, factor)
    norms = state.program.norms()
    lr = plan.rate(state.step, per_epoch)
    values = torch.stack([learned.loss, norms.double().cpu()])
    if not bool(values.isfinite().all()):
        _blame(state, values, batch, training.ids, positions, lr)
    if plan.clip_norm is not None:
        scale = (plan.clip_norm / (norms + 1e-6)).clamp(max=1.0)[:, None]
        for grad in grads:
            grad.mul_(scale)
    for group in state.optimiser.param_groups:
        group["lr"] = lr
    state.optimiser.step()
    state.step += 1
    state.batch += 1
    state.sums += torch.stack([learned.mean * learned.weight, learned.weight, values[1]], dim=1)


def _batch(
    training: Data,
    positions: Tensor,
    members: range,
    augment: Augment | None,
    seeds: Sequence[int],
    step: int,
) -> tuple[Tensor, Tensor]:
    """Inputs and targets of some members, ``(members, batch, ...)``; read once if they share it."""
    own = len(positions) > 1 or len(seeds) == 1
    chosen = positions[members.start : members.stop] if own else positions
    x, y = training(chosen.reshape(-1))
    x, y = x.unflatten(0, chosen.shape), y.unflatten(0, chosen.shape)
    if augment is not None:
        drawn = [
            augment(inputs, targets, _generator(seeds[member if own else 0], step))
            for member, inputs, targets in zip(members, x, y, strict=False)
        ]
        x, y = (torch.stack(list(parts)) for parts in zip(*drawn, strict=True))
    return x.expand(len(members), *x.shape[1:]), y.expand(len(members), *y.shape[1:])


def _generator(seed: int, step: int) -> torch.Generator:
    state = np.random.SeedSequence([_AUGMENTATION, seed, step]).generate_state(1)
    return torch.Generator().manual_seed(int(state[0]))


def _orders(seeds: Sequence[int], count: int, epoch: int, order: str) -> Tensor:
    """The order of the samples in an epoch, a row a member, or one that all share."""
    chosen = seeds[:1] if order == "shared" else seeds
    # Half the memory of int64: an ensemble may be large.
    rows = [epoch_order(count, seed, epoch).int() for seed in chosen]
    return torch.stack(rows)


def _end_epoch(state: EnsembleState, validation: Data | None, loss: Loss, per_epoch: int) -> None:
    lr = state.plan.rate(state.step - 1, per_epoch)
    scores = [{}] * len(state.stack) if validation is None else _score(state, validation, loss)
    active = state.active
    for member, found in enumerate(scores):
        if not active[member]:
            continue
        for name, value in found.items():
            if not math.isfinite(value):
                raise UserError(
                    f"{_where(state, member, lr)}: {name} is {value}; expected a lower train.lr"
                )
        mean, weight, norm = state.sums[member].tolist()
        row = {
            "epoch": state.epoch,
            "step": state.step,
            "lr": lr,
            loss.names[0]: mean / weight,
            **found,
            "gradient_norm": norm / per_epoch,
        }
        state.end_epoch(member, row, loss.criterion(row) if found else None)
    state.epoch += 1
    state.batch = 0
    state.sums.zero_()


def _score(state: EnsembleState, feed: Data, loss: Loss) -> list[dict[str, float]]:
    """The scores of each member; who has stopped is not asked."""
    running, size = state.program, state.plan.batch_size
    noise = None
    if running.stochastic:
        noise = Noise(state.stack.seeds, "validation", size, running.stochastic)
    batches = torch.arange(len(feed)).split(size)
    found: list[dict[str, float]] = []
    active = state.active
    for members in running.blocks(size):
        scores = [loss.score() for _ in members]
        if any(active[members.start : members.stop]):
            for number, positions in enumerate(batches):
                x, targets = feed(positions)
                step = state.epoch * len(batches) + number
                drawn = None if noise is None else noise.stacked(members, step, len(positions))
                for score, output in zip(scores, running.outputs(members, x, drawn), strict=True):
                    score.add(output, targets)
        found += [
            score.values() if active[member] else {}
            for member, score in zip(members, scores, strict=True)
        ]
    return found


def _blame(
    state: EnsembleState,
    values: Tensor,
    batch: Callable[[range], tuple[Tensor, Tensor]],
    ids: Tensor,
    positions: Tensor,
    lr: float,
) -> None:
    """Raise ``UserError`` for the first member that still trains with a number not finite."""
    for member, (active, own) in enumerate(zip(state.active, values.T, strict=True)):
        if active and not bool(own.isfinite().all()):
            x, _ = batch(range(member, member + 1))
            chosen = ids[positions[member if len(positions) > 1 else 0]]
            if len(chosen) != x.shape[1]:  # what augmentation made has no ids
                chosen = torch.arange(x.shape[1])
            found = culprit(state.stack.module(member), x[0], chosen, own[0])
            raise UserError(f"{_where(state, member, lr)}: {found}")


def _where(state: EnsembleState, member: int, lr: float) -> str:
    place = f"step {state.step}, epoch {state.epoch}, learning rate {lr:.3g}"
    return f"training of the member of seed {state.stack.seeds[member]} stopped at {place}"
