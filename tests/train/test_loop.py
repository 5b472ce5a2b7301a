"""What a training ends with, and what its curve says."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocore.train.feed import Feed, tensor_feed
from geocore.train.loop import score, steps_per_epoch, train
from geocore.train.randomness import epoch_order
from geocore.train.state import TrainState
from tests.train.scenes import blobs, feeds, network, same, start, train_params


class Flat(nn.Module):
    """One linear map, so that a step can be written out."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 3)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear(x.flatten(1))
        return out


def test_it_learns() -> None:
    params = train_params(epochs=12)
    state = start(params)
    train(state, *feeds(60, 30), params)
    assert state.best is not None
    assert state.best["val_accuracy"] == 1.0
    assert state.best["val_nll"] < 0.1 < state.curve[0]["val_nll"]


def test_the_first_row_by_hand() -> None:
    """One step from zero weights: every number of the row is known."""
    params = train_params(
        epochs=1, batch_size=100, lr=0.01, warmup_epochs=1, label_smoothing=0.0, weight_decay=0.0
    )
    images, labels = blobs(30, 1)
    state = start(params, Flat())
    train(state, tensor_feed(images, labels), tensor_feed(*blobs(9, 2)), params)
    # From zero logits: the gradient is mean((1/3 - onehot) x), and Adam's step is lr * its sign.
    slope = (1 / 3 - F.one_hot(labels, 3).double()).T @ images.flatten(1).double() / 30
    slope_bias = (1 / 3 - F.one_hot(labels, 3).double()).mean(dim=0)
    weight = -0.01 * slope / (slope.abs() + 1e-8)
    held, held_labels = blobs(9, 2)
    logits = held.flatten(1).double() @ weight.T  # classes are balanced: no step in the bias
    (row,) = state.curve
    assert float(slope_bias.abs().max()) < 1e-12
    assert (row["epoch"], row["step"], row["lr"]) == (0, 1, 0.01)
    assert row["train_nll"] == pytest.approx(math.log(3), abs=1e-6)
    assert row["gradient_norm"] == pytest.approx(float(slope.norm()), rel=1e-5)
    assert row["val_nll"] == pytest.approx(float(F.cross_entropy(logits, held_labels)), abs=1e-4)
    assert row["val_accuracy"] == float((logits.argmax(1) == held_labels).double().mean())


def test_label_smoothing_is_in_the_loss_and_not_in_the_curve() -> None:
    images, labels = blobs(30, 1)
    norms = {}
    for smoothing in (0.0, 0.3):
        params = train_params(epochs=1, batch_size=100, label_smoothing=smoothing)
        state = start(params, Flat())
        train(state, tensor_feed(images, labels), tensor_feed(*blobs(9, 2)), params)
        norms[smoothing] = state.curve[0]["gradient_norm"]
        assert state.curve[0]["train_nll"] == pytest.approx(math.log(3), abs=1e-6)
    # Targets 0.8 and 0.1: the gradient at zero logits shrinks by 1 - 0.3.
    assert norms[0.3] == pytest.approx(0.7 * norms[0.0], rel=1e-5)


def test_every_sample_once_an_epoch_in_the_stated_order() -> None:
    images, labels = blobs(20, 1)
    seen: list[Tensor] = []

    def take(positions: Tensor) -> Tensor:
        seen.append(positions)
        return images[positions]

    params = train_params(epochs=2)
    feed = Feed(take, labels, torch.arange(20), torch.device("cpu"))
    train(start(params), feed, tensor_feed(*blobs(9, 2)), params)
    assert [len(batch) for batch in seen] == [8, 8, 4] * 2
    assert torch.equal(torch.cat(seen[:3]), epoch_order(20, 0, 0))
    assert torch.equal(torch.cat(seen[3:]), epoch_order(20, 0, 1))
    assert steps_per_epoch(20, params) == 3


def test_early_stopping_keeps_the_best_weights() -> None:
    images, labels = blobs(20, 1)
    held = torch.rand(30, *images.shape[1:], generator=torch.Generator().manual_seed(4))
    validation = tensor_feed(held, torch.arange(30) % 3)  # nothing to learn: it soon gets worse
    params = train_params(epochs=40, patience=3, lr=0.02)
    state = start(params)
    train(state, tensor_feed(images, labels), validation, params)
    assert state.best is not None
    nlls = [row["val_nll"] for row in state.curve]
    assert state.best["val_nll"] == min(nlls)
    assert len(nlls) == nlls.index(min(nlls)) + 1 + 3 < 40
    assert score(state.model, validation, 8)["val_nll"] == nlls[-1]
    state.model.load_state_dict(state.best_weights)
    assert score(state.model, validation, 8)["val_nll"] == min(nlls)


def test_same_seed_same_bits() -> None:
    params = train_params(epochs=2)
    ends = []
    for noise in (0, 1):
        torch.manual_seed(noise)
        state = start(params)
        train(state, *feeds(), params)
        ends.append(state)
    assert same(*ends)
    other = train_params(epochs=2, seed=1)
    state = start(other)
    train(state, *feeds(), other)
    assert state.curve != ends[0].curve


def test_callbacks() -> None:
    params, calls = train_params(epochs=2), []
    train(
        start(params),
        *feeds(),
        params,
        checkpoint_every=4,
        on_checkpoint=lambda state: calls.append(("checkpoint", state.step)),
        on_step=lambda state: calls.append(("step", state.step)),
        on_epoch=lambda state: calls.append(("epoch", state.step)),
    )
    assert calls == [
        ("step", 1), ("step", 2), ("epoch", 3), ("step", 3),
        ("step", 4), ("checkpoint", 4), ("step", 5), ("epoch", 6), ("step", 6),
    ]  # fmt: skip


def test_a_finished_training_stays_as_it_is() -> None:
    params = train_params(epochs=1)
    state = start(params)
    train(state, *feeds(), params)
    weights = {name: value.clone() for name, value in state.model.state_dict().items()}
    train(state, *feeds(), params)
    assert state.step == 3
    assert all(torch.equal(weights[n], value) for n, value in state.model.state_dict().items())


def test_score_is_a_mean_over_samples_whatever_the_batches() -> None:
    model, feed = network().eval(), tensor_feed(*blobs(9, 2))
    images, labels = feed(torch.arange(9))
    logits = model(images).detach().double()
    nll = float(F.cross_entropy(logits, labels))
    for batch_size in (1, 4, 100):
        found = score(model, feed, batch_size)
        assert found["val_nll"] == pytest.approx(nll, abs=1e-6)
        assert found["val_accuracy"] == float((logits.argmax(1) == labels).double().mean())
    assert isinstance(start(train_params()), TrainState)
