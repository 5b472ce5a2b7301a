"""The training loop: AdamW, warm-up and cosine, clipping, early stopping, exact resume."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from geocore.config.train import TrainParams
from geocore.errors import UserError
from geocore.train.classification import Classification
from geocore.train.feed import Feed
from geocore.train.guard import culprit
from geocore.train.objective import Objective
from geocore.train.randomness import deterministic, epoch_order, get_rng_state, set_rng_state
from geocore.train.schedule import learning_rate
from geocore.train.state import TrainState

__all__ = ["score", "steps_per_epoch", "train"]

Callback = Callable[[TrainState], None]


def train(
    state: TrainState,
    training: Feed,
    validation: Feed,
    params: TrainParams,
    *,
    objective: Objective | None = None,
    checkpoint_every: int = 0,
    on_checkpoint: Callback | None = None,
    on_step: Callback | None = None,
    on_epoch: Callback | None = None,
) -> None:
    """Go on from ``state`` to the end: after ``params.epochs``, or ``patience`` without progress.

    The end depends on the data, ``params`` and the initial weights alone (to the last bit on one
    kind of device with one number of threads), not on how often the training was interrupted:
    ``on_checkpoint`` is called every ``checkpoint_every`` optimiser steps (0: never) with a state
    that may be stored and restored. What is learned is ``objective``, by default a class a sample.
    An epoch ends with the objective's scores of the validation split; the weights of the epoch
    with the lowest criterion are ``state.best_weights``, and ``state.curve`` has a row an epoch,
    ``objective.columns``: ``epoch``, ``step``, ``lr`` (of its last step), the training mean (over
    the epoch, while the weights move), the scores, ``gradient_norm`` (mean, before clipping).

    Raises ``UserError`` when a loss or a gradient is not finite: step, epoch, learning rate and
    culprit in one line. Nothing is called back after that.
    """
    if objective is None:
        objective = Classification(label_smoothing=params.label_smoothing)
    with deterministic(params.seed, state.device):
        if state.rng:
            set_rng_state(state.rng, state.device)
        while state.epoch < params.epochs and state.stale < params.patience:
            order = epoch_order(len(training), params.seed, state.epoch)
            batches = order.split(params.batch_size)
            state.model.train()
            for positions in batches[state.batch :]:
                _step(state, objective, training, positions, params, len(batches))
                if state.batch == len(batches):
                    _end_epoch(state, objective, validation, params)
                    if on_epoch is not None:
                        on_epoch(state)
                if on_step is not None:
                    on_step(state)
                due = checkpoint_every and state.step % checkpoint_every == 0
                if due and on_checkpoint is not None:
                    state.rng = get_rng_state(state.device)
                    on_checkpoint(state)


def steps_per_epoch(samples: int, params: TrainParams) -> int:
    """Optimiser steps of an epoch; the last batch may be smaller."""
    return math.ceil(samples / params.batch_size)


def score(
    model: nn.Module, feed: Feed, batch_size: int, objective: Objective | None = None
) -> dict[str, float]:
    """The objective's scores over a feed, by default those of a class a sample.

    The model's mode is kept.
    """
    found = (Classification() if objective is None else objective).score()
    mode = model.training
    model.eval()
    with torch.inference_mode():
        for positions in torch.arange(len(feed)).split(batch_size):
            images, target = feed(positions)
            found.add(model(images), target)
    model.train(mode)
    return found.values()


def _step(
    state: TrainState,
    objective: Objective,
    feed: Feed,
    positions: Tensor,
    params: TrainParams,
    per_epoch: int,
) -> None:
    images, target = feed(positions)
    learned = objective.loss(state.model(images), target)
    state.optimiser.zero_grad()
    learned.loss.backward()
    parameters = [p for p in state.model.parameters() if p.grad is not None]
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    # One transfer for all, and before the optimiser has touched anything.
    values = torch.stack([value.detach().double() for value in (*learned, norm)])
    loss, mean, count, norm_value = values.tolist()
    lr = _learning_rate(state.step, params, per_epoch)
    if not (math.isfinite(loss) and math.isfinite(norm_value)):
        raise UserError(
            f"{_where(state, lr)}: "
            f"{culprit(state.model, images, feed.ids[positions], learned.loss.detach())}"
        )
    nn.utils.clip_grads_with_norm_(parameters, params.clip_norm, norm)
    for group in state.optimiser.param_groups:
        group["lr"] = lr
    state.optimiser.step()
    state.step += 1
    state.batch += 1
    state.loss_sum += mean * count
    state.count += count
    state.norm_sum += norm_value


def _end_epoch(
    state: TrainState, objective: Objective, validation: Feed, params: TrainParams
) -> None:
    lr = _learning_rate(state.step - 1, params, state.batch)
    scores = score(state.model, validation, params.batch_size, objective)
    for value in scores.values():
        if not math.isfinite(value):
            found = _validation_culprit(state, validation, params.batch_size, value)
            raise UserError(f"{_where(state, lr)}: {found}")
    row = {
        "epoch": state.epoch,
        "step": state.step,
        "lr": lr,
        objective.names[0]: state.loss_sum / state.count,
        **scores,
        "gradient_norm": state.norm_sum / state.batch,
    }
    state.curve.append(row)
    if state.best is None or objective.criterion(row) < objective.criterion(state.best):
        state.best, state.stale = row, 0
        weights = state.model.state_dict().items()
        state.best_weights = {name: value.detach().clone() for name, value in weights}
    else:
        state.stale += 1
    state.epoch += 1
    state.batch, state.loss_sum, state.count, state.norm_sum = 0, 0.0, 0.0, 0.0


def _validation_culprit(state: TrainState, feed: Feed, batch_size: int, score: float) -> str:
    state.model.eval()
    with torch.no_grad():
        for positions in torch.arange(len(feed)).split(batch_size):
            images, _ = feed(positions)
            if not (torch.isfinite(images).all() and torch.isfinite(state.model(images)).all()):
                break
    found = culprit(state.model, images, feed.ids[positions], torch.tensor(score))
    return f"validation: {found}"


def _learning_rate(step: int, params: TrainParams, per_epoch: int) -> float:
    warmup, total = params.warmup_epochs * per_epoch, params.epochs * per_epoch
    return learning_rate(step, peak=params.lr, warmup=min(warmup, total), total=total)


def _where(state: TrainState, lr: float) -> str:
    place = f"step {state.step}, epoch {state.epoch}, learning rate {lr:.3g}"
    return f"training stopped at {place}"
