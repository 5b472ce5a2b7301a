"""A member is the training of its seed, whatever stands in the parameters."""

from __future__ import annotations

import torch

from geocore.ensembles.members import train_member
from geocore.models.registry import build
from geocore.train.classification import Classification
from geocore.train.loop import train
from geocore.train.state import TrainState
from tests.models.encoders import model_params
from tests.train.scenes import CPU, TABLE, feeds, same, train_params

MODEL = model_params(depths=(1, 1), heads=(1, 2), dropout=0.3)
CLASSES = Classification(3)


def member(seed: int, listed: int = 0) -> TrainState:
    return train_member(MODEL, TABLE, CLASSES, *feeds(), train_params(epochs=2, seed=listed), seed)


def test_it_is_the_single_training_of_its_seed() -> None:
    params = train_params(epochs=2, seed=77)
    alone = TrainState.start(build(MODEL, TABLE, 3, seed=77), params, CPU)
    train(alone, *feeds(), params)
    torch.manual_seed(5)  # what else draws numbers does not matter
    assert same(member(77, listed=4), alone)


def test_other_seeds_differ_from_the_first_weight_on() -> None:
    first, second = member(1).best_weights, member(2).best_weights
    assert any(not torch.equal(first[name], second[name]) for name in first)


def test_every_step_is_told() -> None:
    steps: list[int] = []
    train_member(
        MODEL,
        TABLE,
        CLASSES,
        *feeds(),
        train_params(epochs=2),
        1,
        on_step=lambda s: steps.append(s.step),
    )
    assert steps == [1, 2, 3, 4, 5, 6]
