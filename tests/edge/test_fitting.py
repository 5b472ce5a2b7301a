"""Training a student: the best epoch's weights, and the stage's own words for a mistake."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from geocore.edge.fitting import fit, float_plan, quantised_plan
from geocore.errors import UserError
from geocore.train.feed import Feed, tensor_feed
from geocore.train.loop import score
from tests.edge.students import quantised, student

SHAPE = (4, 4, 1)


def feed(count: int, seed: int) -> Feed:
    """Three classes, each brighter in a row of its own."""
    labels = torch.arange(count) % 3
    drawn = torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(seed)) / 2
    drawn[torch.arange(count), labels] += 0.4
    return tensor_feed(drawn, labels)


def test_a_float_and_a_quantised_student_learn() -> None:
    training, validation = feed(96, 1), feed(30, 2)
    plan = float_plan(seed=0, epochs=12, batch_size=8, lr=0.02)
    model = student(SHAPE, (4,))
    best = fit(model, training, validation, plan)
    assert not model.training
    assert score(model, validation, 8).items() <= best.items()
    assert best["val_accuracy"] > 0.9
    small = quantised(SHAPE, (4,), given=model)
    before = score(small, validation, 8)["val_nll"]
    plan = quantised_plan(seed=0, epochs=4, batch_size=8, lr=0.02)
    after = fit(small, training, validation, plan)
    assert score(small, validation, 8)["val_nll"] == after["val_nll"] < before


def test_a_training_that_diverges_names_the_stages_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def nll_loss(log_p: Tensor, labels: Tensor) -> Tensor:
        return log_p.sum() * math.nan

    monkeypatch.setattr(torch.nn.functional, "nll_loss", nll_loss)
    plan = float_plan(seed=0, epochs=1, batch_size=8, lr=0.02)
    with pytest.raises(UserError, match=r"expected a lower synthesize\.lr$"):
        fit(student(SHAPE, (2,)), feed(16, 1), feed(8, 2), plan)
