"""Training a student: the best epoch's weights, and the stage's own words for a mistake."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from geocore.edge.calibration import activation_peaks
from geocore.edge.fitting import fit, float_plan, quantised_plan
from geocore.edge.quantised import Bits, QuantisedNetwork
from geocore.edge.tracing import trace
from geocore.errors import UserError
from geocore.train.feed import Feed, tensor_feed
from geocore.train.loop import score
from geocore.train.objective import objective
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


class Pixels(nn.Module):
    """A class a pixel, from the pixel and its neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.Conv2d(6, 2, 1)
        self.norm = nn.BatchNorm2d(6)

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.two(self.norm(self.one(images.permute(0, 3, 1, 2))).relu())
        return found.permute(0, 2, 3, 1)


def test_a_segmentation_learns_float_and_quantised() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.rand(80, 6, 6, 1, generator=generator)
    labels = (drawn[..., 0] > 0.8).to(torch.uint8)
    training, validation = (
        tensor_feed(drawn[:64], labels[:64]),
        tensor_feed(drawn[64:], labels[64:]),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Pixels()
    plan = float_plan(
        seed=0, epochs=12, batch_size=8, lr=0.03,
        task="segmentation", class_weights="inverse_frequency",
    )  # fmt: skip
    learned = objective(plan, ["dark", "bright"], training, "table")
    best = fit(model, training, validation, plan, objective=learned)
    assert best["val_mean_iou"] > 0.8
    graph = trace(model, (6, 6, 1))
    network = QuantisedNetwork(graph, Bits(5, 5, 8), activation_peaks(graph, training))
    plan = quantised_plan(
        seed=0, epochs=3, batch_size=8, lr=0.03,
        task="segmentation", class_weights="inverse_frequency",
    )  # fmt: skip
    best = fit(network, training, validation, plan, objective=learned)
    assert best["val_mean_iou"] > 0.75
    assert network(drawn[:2]).shape == (2, 6, 6, 2)


def test_both_plans_learn_at_the_papers_rate() -> None:
    plan = float_plan(seed=0, epochs=9, batch_size=128, patience=4)
    assert (plan.lr, plan.epochs, plan.patience, plan.warmup_epochs) == (3e-3, 9, 4, 1)
    plan = quantised_plan(seed=0, epochs=9, batch_size=128)
    assert (plan.lr, plan.patience, plan.warmup_epochs) == (3e-3 / 4, 9, 0)


def test_a_training_that_diverges_names_the_stages_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def nll_loss(log_p: Tensor, labels: Tensor) -> Tensor:
        return log_p.sum() * math.nan

    monkeypatch.setattr(torch.nn.functional, "nll_loss", nll_loss)
    plan = float_plan(seed=0, epochs=1, batch_size=8, lr=0.02)
    with pytest.raises(UserError, match=r"expected a lower synthesize\.lr$"):
        fit(student(SHAPE, (2,)), feed(16, 1), feed(8, 2), plan)
