"""Training a student, float or quantised, by the common loop."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from geocore.config.train import TrainParams
from geocore.errors import UserError
from geocore.train.feed import Feed
from geocore.train.loop import train
from geocore.train.state import Row, TrainState

__all__ = ["fit", "float_plan", "quantised_plan"]


def float_plan(*, seed: int, epochs: int, batch_size: int, lr: float) -> TrainParams:
    """All epochs of AdamW with a little decay and clipped gradients: warm-up, cosine to zero."""
    return TrainParams(
        task="classification",
        loss="cross_entropy",
        class_weights="none",
        depth_scale=None,
        seed=seed,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        weight_decay=0.01,
        warmup_epochs=1,
        label_smoothing=0.0,
        clip_norm=1.0,
        patience=epochs,
    )


def quantised_plan(*, seed: int, epochs: int, batch_size: int, lr: float) -> TrainParams:
    """The float student's plan from trained weights: a quarter of its rate, and no warm-up."""
    plan = float_plan(seed=seed, epochs=epochs, batch_size=batch_size, lr=lr / 4)
    return plan.model_copy(update={"warmup_epochs": 0})


def fit(
    model: nn.Module,
    training: Feed,
    validation: Feed,
    params: TrainParams,
    on_step: Callable[[TrainState], None] | None = None,
) -> Row:
    """Train ``model`` in place, on the CPU, and return its best epoch's row of the curve.

    The best epoch is that of the lowest validation NLL; the model is left with its weights, in
    evaluation mode. Raises ``UserError`` for a loss or a gradient that is not finite.
    """
    state = TrainState.start(model, params, torch.device("cpu"))
    try:
        train(state, training, validation, params, on_step=on_step)
    except UserError as error:  # here the rate is a key of another section
        lines = [line.replace("train.lr", "synthesize.lr") for line in error.lines]
        raise UserError(*lines) from None
    assert state.best is not None  # every training ends an epoch, and the first is the best so far
    model.load_state_dict(state.best_weights)
    model.eval()
    return state.best
