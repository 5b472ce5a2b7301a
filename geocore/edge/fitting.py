"""Training a network for a chip, float, pruned or quantised, by the common loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import nn

from geocore.config.train import ClassWeights, TrainParams
from geocore.edge.pruning import Pruning
from geocore.errors import UserError
from geocore.train.feed import Feed
from geocore.train.loop import train
from geocore.train.objective import Objective
from geocore.train.state import Row, TrainState

__all__ = ["fit", "float_plan", "quantised_plan"]

_LR = 3e-3  # of Adam, as both papers train: arXiv:2101.05108, section 3


def float_plan(
    *,
    seed: int,
    epochs: int,
    batch_size: int,
    lr: float = _LR,
    task: Literal["classification", "segmentation"] = "classification",
    class_weights: ClassWeights = "none",
    weight_decay: float = 0.01,
    patience: int | None = None,
) -> TrainParams:
    """All epochs of AdamW with a little decay and clipped gradients: warm-up, cosine to zero.

    With ``patience`` it may stop after that many epochs without progress. ``class_weights`` are
    those of a segmentation.
    """
    return TrainParams(
        task=task,
        loss="cross_entropy",
        class_weights=class_weights,
        depth_scale=None,
        seed=seed,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        weight_decay=weight_decay,
        warmup_epochs=1,
        label_smoothing=0.0,
        clip_norm=1.0,
        patience=epochs if patience is None else patience,
    )


def quantised_plan(
    *,
    seed: int,
    epochs: int,
    batch_size: int,
    lr: float = _LR,
    task: Literal["classification", "segmentation"] = "classification",
    class_weights: ClassWeights = "none",
    weight_decay: float = 0.01,
    patience: int | None = None,
) -> TrainParams:
    """The float network's plan from trained weights: a quarter of its rate, and no warm-up."""
    plan = float_plan(
        seed=seed,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr / 4,
        task=task,
        class_weights=class_weights,
        weight_decay=weight_decay,
        patience=patience,
    )
    return plan.model_copy(update={"warmup_epochs": 0})


def fit(
    model: nn.Module,
    training: Feed,
    validation: Feed,
    params: TrainParams,
    on_step: Callable[[TrainState], None] | None = None,
    *,
    objective: Objective | None = None,
    pruning: Pruning | None = None,
    device: torch.device | None = None,
    resume: Callable[[TrainState], None] | None = None,
    checkpoint_every: int = 0,
    on_checkpoint: Callable[[TrainState], None] | None = None,
) -> Row:
    """Train ``model`` in place, by default on the CPU; return its best epoch's row of the curve.

    The best epoch is that of the lowest criterion of ``objective``, by default a class a sample and
    its validation NLL; the model is left with its weights, in evaluation mode. ``pruning`` sets its
    zeros right after each step of the optimiser, so that what is validated and kept has them; an
    epoch before they are settled is no candidate. ``resume`` may bring the state to a checkpoint,
    as ``on_checkpoint`` was given one (``geocore.train.loop.train``): the end is the same. Raises
    ``UserError`` for a loss or a gradient that is not finite, and ``ValueError`` for a pruning that
    the training ends before.
    """
    state = TrainState.start(model, params, device or torch.device("cpu"))
    if resume is not None:
        resume(state)
    if pruning is not None:
        _prune(state, training, params, pruning)
    settled = 0 if pruning is None else pruning.settled

    def forget(state: TrainState) -> None:
        if state.step < settled:
            state.best, state.stale = None, 0

    try:
        train(
            state, training, validation, params,
            objective=objective, on_step=on_step, on_epoch=forget,
            checkpoint_every=checkpoint_every, on_checkpoint=on_checkpoint,
        )  # fmt: skip
    except UserError as error:  # here the rate is a key of another section
        lines = [line.replace("train.lr", "synthesize.lr") for line in error.lines]
        raise UserError(*lines) from None
    assert state.best is not None  # every training ends an epoch, and the first is the best so far
    model.load_state_dict(state.best_weights)
    model.eval()
    return state.best


def _prune(state: TrainState, training: Feed, params: TrainParams, pruning: Pruning) -> None:
    steps = params.epochs * -(-len(training) // params.batch_size)
    if pruning.settled > steps:
        raise ValueError(
            f"pruning ends at step {pruning.settled} and training at {steps}; "
            "expected it within the training"
        )
    pruning.apply(state.step)  # of a checkpoint, whose zeros are there: the same ones

    def apply(*of_the_optimiser: Any) -> None:
        del of_the_optimiser
        pruning.apply(state.step + 1)  # the loop counts this step afterwards

    state.optimiser.register_step_post_hook(apply)
