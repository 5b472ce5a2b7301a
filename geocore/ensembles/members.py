"""Training a member of an ensemble."""

from __future__ import annotations

from collections.abc import Callable

from geocore.config.model import ModelParams
from geocore.config.train import TrainParams
from geocore.data.tabletype import TableType
from geocore.train.feed import Feed
from geocore.train.loop import train
from geocore.train.network import network
from geocore.train.objective import Objective
from geocore.train.state import TrainState

__all__ = ["train_member"]


def train_member(
    model: ModelParams,
    kind: TableType,
    objective: Objective,
    training: Feed,
    validation: Feed,
    params: TrainParams,
    seed: int,
    *,
    on_step: Callable[[TrainState], None] | None = None,
) -> TrainState:
    """The network that a single training with ``params.seed = seed`` gives, to the last bit.

    ``seed`` decides the initial weights, the order of the data and dropout; ``params.seed`` is not
    used. Members depend on nothing of each other. ``kind`` is that of the table that the feeds
    read, ``objective`` what is learned from it; the device is that of ``training``.
    ``best_weights``, ``best`` and ``curve`` of the state that is returned are the member. Raises
    ``UserError`` when a loss or a gradient is not finite.
    """
    own = params.model_copy(update={"seed": seed})
    state = TrainState.start(network(model, kind, objective, seed), own, training.device)
    train(state, training, validation, own, objective=objective, on_step=on_step)
    return state
