"""What lies outside of ``valid`` decides nothing: neither loss, nor score, nor any weight."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from geocore.data.table import IGNORED
from geocore.data.tabletype import TableType
from geocore.train import feed as feeding
from geocore.train.loop import train
from geocore.train.objective import objective
from geocore.train.state import TrainState
from tests.train.pixels import (
    CLASSES,
    MAPS,
    PLANES,
    Columns,
    PerPixel,
    columns,
    feeds,
    pixel_params,
    write_dense,
)
from tests.train.scenes import CPU, same

CASES = [
    (MAPS, "segmentation", "cross_entropy"),
    (PLANES, "segmentation", "cross_entropy"),
    (MAPS, "depth", "l2"),
    (PLANES, "depth", "gaussian_nll"),
]


def altered(values: Columns, kind: TableType, what: str = "valid") -> Columns:
    """Other images, labels and depths wherever a pixel is not valid."""
    generator = np.random.default_rng(9)
    blind = ~values["valid"]
    labels, depths = values["label"].copy(), values["depth"].copy()
    image = values["image"].reshape(*blind.shape, -1).copy()
    labels[blind] = generator.integers(0, 3, blind.sum())
    depths[blind] = generator.uniform(0, 90, blind.sum())
    image[blind] = generator.integers(0, 200, (blind.sum(), 3))
    return {**values, "label": labels, "depth": depths, "image": image.reshape(-1, *kind.shape)}


def trained(folder: Path, kind: TableType, values: Columns, task: str, loss: str) -> TrainState:
    weights = "inverse_frequency" if task == "segmentation" else "none"
    params = pixel_params(task, loss=loss, class_weights=weights)
    training, validation = feeds(write_dense(folder, kind, values), task)
    learned = objective(params, CLASSES, training, "data")
    learned.require(validation, "data")
    state = TrainState.start(PerPixel(learned.outputs), params, CPU)
    train(state, training, validation, params, objective=learned)
    return state


@pytest.mark.parametrize(("kind", "task", "loss"), CASES)
@pytest.mark.parametrize("held", [True, False])
def test_pixels_that_are_not_valid_decide_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: TableType,
    task: str,
    loss: str,
    held: bool,
) -> None:
    """The whole training, to the last bit: class weights and moments, curve, best weights."""
    if not held:
        monkeypatch.setattr(feeding, "_HELD_BYTES", {"cpu": 0})
    values = columns(kind)
    other = altered(values, kind)
    assert not np.array_equal(values["image"], other["image"])
    first = trained(tmp_path / "first", kind, values, task, loss)
    second = trained(tmp_path / "second", kind, other, task, loss)
    assert same(first, second)
    # Were they valid, all of it would differ: what is compared above can differ.
    seen = np.ones_like(values["valid"])
    third = trained(tmp_path / "third", kind, {**values, "valid": seen}, task, loss)
    fourth = trained(tmp_path / "fourth", kind, {**other, "valid": seen}, task, loss)
    for state in (third, fourth):
        assert state.curve[0] != first.curve[0]
    assert third.curve[0] != fourth.curve[0]


@pytest.mark.parametrize(("task", "column", "nothing"), [
    ("segmentation", "label", IGNORED), ("depth", "depth", 0),
])  # fmt: skip
def test_outputs_there_have_no_gradient_and_no_score(
    tmp_path: Path, task: str, column: str, nothing: int
) -> None:
    values = columns(MAPS)
    training, _ = feeds(write_dense(tmp_path / "data", MAPS, values), task)
    learned = objective(pixel_params(task), CLASSES, training, "data")
    _, target = training(torch.arange(8))
    rows = values["split"] == 0
    counts = torch.from_numpy((values["valid"] & (values[column] != nothing))[rows])
    generator = torch.Generator().manual_seed(0)
    output = torch.randn(*target.shape, learned.outputs, generator=generator)

    leaf = output.clone().requires_grad_()
    loss = learned.loss(leaf, target).loss
    loss.backward()
    assert leaf.grad is not None
    assert torch.equal((leaf.grad != 0).any(dim=-1), counts)

    elsewhere = torch.where(counts[..., None], output, 5 * output - 3)
    assert torch.equal(learned.loss(elsewhere, target).loss, loss)
    scores = []
    for given in (output, elsewhere, output + 1 * (torch.arange(learned.outputs) == 0)):
        score = learned.score()
        score.add(given, target)
        scores.append(score.values())
    assert scores[0] == scores[1] != scores[2]


@pytest.mark.parametrize("strange", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(
    ("task", "loss"),
    [("segmentation", "cross_entropy"), ("depth", "huber"), ("depth", "gaussian_nll")],
)
def test_an_output_that_does_not_count_may_be_anything(
    tmp_path: Path, task: str, loss: str, strange: float
) -> None:
    weights = "inverse_frequency" if task == "segmentation" else "none"
    params = pixel_params(task, loss=loss, class_weights=weights, label_smoothing=0.0)
    training, _ = feeds(write_dense(tmp_path / "table", MAPS, columns(MAPS)), task)
    learned = objective(params, CLASSES, training, "data")
    _, target = training(torch.arange(2))
    blind = target == (IGNORED if task == "segmentation" else 0)
    assert blind.any() and not blind.all()
    output = torch.randn(*target.shape, learned.outputs, generator=torch.Generator().manual_seed(0))
    plain = output.clone().requires_grad_()
    other = torch.where(blind[..., None], strange, output).requires_grad_()
    for found in (plain, other):
        learned.loss(found, target).loss.backward()
    assert torch.equal(learned.loss(plain, target).loss, learned.loss(other, target).loss)
    assert plain.grad is not None and other.grad is not None
    assert torch.equal(plain.grad, other.grad) and not plain.grad[blind].any()
