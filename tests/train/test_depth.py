"""Losses of depths against sums written out; outputs come back as metres."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from geocore.errors import UserError
from geocore.train.depth import Depth
from geocore.train.feed import tensor_feed
from geocore.train.loop import score, train
from geocore.train.objective import objective, recorded
from geocore.train.state import TrainState
from tests.train.pixels import CLASSES, PLANES, PerPixel, columns, feeds, pixel_params, write_dense
from tests.train.scenes import CPU

LOSSES = ("l1", "l2", "huber", "gaussian_nll")
SCALES = ("linear", "log")


def batch(outputs: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    target = 1 + 40 * torch.rand(4, 30, generator=generator, dtype=torch.float64)
    target[torch.rand(4, 30, generator=generator) < 0.3] = 0
    output = torch.randn(4, 30, outputs, generator=generator, dtype=torch.float64)
    return 1.5 * output, target


def by_hand(loss: str, o: list[float], z: float) -> float:
    e = z - o[0]
    if loss == "l1":
        return abs(e)
    if loss == "l2":
        return e * e
    if loss == "huber":
        return e * e / 2 if abs(e) < 1 else abs(e) - 0.5
    return (o[1] + e * e / math.exp(o[1])) / 2


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("loss", LOSSES)
def test_loss_and_score_by_hand(loss: Any, scale: Any) -> None:
    learned = Depth(loss, scale, 1.7, 0.6)
    output, target = batch(learned.outputs)
    total = square = 0.0
    count = 0
    for o, d in zip(output.flatten(0, 1).tolist(), target.flatten().tolist(), strict=True):
        if d > 0:
            z = ((math.log(d) if scale == "log" else d) - 1.7) / 0.6
            metres = 1.7 + 0.6 * o[0]
            total += by_hand(loss, o, z)
            square += ((math.exp(metres) if scale == "log" else metres) - d) ** 2
            count += 1
    found = learned.loss(output, target)
    assert float(found.weight) == count
    assert float(found.loss) == float(found.mean) == pytest.approx(total / count, rel=1e-12)
    planar = learned.loss(output.reshape(4, 5, 6, -1), target.reshape(4, 5, 6))
    assert torch.equal(planar.loss, found.loss)
    for size in (1, 3):
        scored = learned.score()
        for rows in torch.arange(4).split(size):
            scored.add(output[rows], target[rows])
        assert scored.values()["val_loss"] == pytest.approx(total / count, rel=1e-12)
        assert scored.values()["val_rmse"] == pytest.approx(math.sqrt(square / count), rel=1e-12)


@pytest.mark.parametrize("scale", SCALES)
def test_metres_undo_the_scale(scale: Any) -> None:
    learned = Depth("l1", scale, 2.5, 0.3)
    depth = torch.linspace(0.5, 80, 50, dtype=torch.float64)
    z = ((depth.log() if scale == "log" else depth) - 2.5) / 0.3
    torch.testing.assert_close(learned.metres(z[:, None]), depth, rtol=1e-12, atol=0)
    assert float(learned.loss(z[None, :, None], depth[None]).loss) < 1e-12


@pytest.mark.parametrize("loss", LOSSES)
def test_a_batch_of_background_moves_nothing(loss: Any) -> None:
    learned = Depth(loss, "log", 2.0, 0.5)
    output, target = batch(learned.outputs)
    leaf = output.requires_grad_()
    found = learned.loss(leaf, torch.zeros_like(target))
    found.loss.backward()
    assert leaf.grad is not None
    assert float(found.loss.detach()) == float(found.weight) == 0
    assert not leaf.grad.any(), "and no NaN of a logarithm of zero"


def test_the_best_variance_is_that_of_the_errors() -> None:
    """The minimum of the Gaussian NLL over one shared ``s`` lies at the mean square error."""
    learned = Depth("gaussian_nll", "linear", 20.0, 10.0)
    output, target = batch(2)
    errors = ((target - 20) / 10 - output[..., 0])[target > 0]
    best = float(errors.square().mean().log())

    def loss(s: float) -> float:
        given = torch.stack([output[..., 0], torch.full_like(target, s)], dim=-1)
        return float(learned.loss(given, target).loss)

    assert loss(best) == pytest.approx((best + 1) / 2, rel=1e-12)
    assert loss(best) < min(loss(best - 0.01), loss(best + 0.01))


@pytest.mark.parametrize("scale", SCALES)
def test_moments_are_of_the_training_pixels_that_count(tmp_path: Path, scale: Any) -> None:
    values = columns(PLANES)
    training, _ = feeds(write_dense(tmp_path / "data", PLANES, values), "depth")
    params = pixel_params("depth", loss="gaussian_nll", depth_scale=scale)
    learned = objective(params, CLASSES, training, "data")
    assert isinstance(learned, Depth)
    depths = values["depth"].astype(float)[values["valid"] & (values["split"] == 0)[:, None]]
    depths = depths[depths > 0]
    depths = np.log(depths) if scale == "log" else depths
    assert learned.mean == pytest.approx(depths.mean(), rel=1e-6)  # depths are float32
    assert learned.std == pytest.approx(depths.std(), rel=1e-6)
    assert recorded("depth", learned.record(), CLASSES) == learned
    assert (learned.outputs, learned.dense, learned.columns[3:6]) == (
        2, True, ("train_loss", "val_loss", "val_rmse"),
    )  # fmt: skip


def test_it_learns(tmp_path: Path) -> None:
    training, validation = feeds(write_dense(tmp_path / "data", PLANES, columns(PLANES)), "depth")
    params = pixel_params("depth", epochs=40, lr=0.03)
    learned = objective(params, CLASSES, training, "data")
    assert isinstance(learned, Depth)
    state = TrainState.start(PerPixel(1, dropout=0.0), params, CPU)
    train(state, training, validation, params, objective=learned)
    assert state.best is not None
    assert state.best["val_loss"] == min(row["val_loss"] for row in state.curve)
    # The depth is linear in the image: far below the spread of the depths.
    assert state.best["val_rmse"] < learned.std / 5
    state.model.load_state_dict(state.best_weights)
    assert score(state.model, validation, 4, learned).items() <= state.best.items()


@pytest.mark.parametrize(
    ("depths", "line"),
    [
        ([[1.0, 2.0], [3.0, -1.0]],
         "data: sample 1 has depth -1.0 at pixel 1; expected metres, or 0 where there is none"),
        ([[1.0, math.nan], [3.0, 1.0]],
         "data: sample 0 has depth nan at pixel 1; expected metres, or 0 where there is none"),
        ([[0.0, 0.0], [0.0, 0.0]], "data: no pixel of the feed has a depth; expected some"),
        ([[3.0, 0.0], [3.0, 3.0]],
         "data: all depths of the feed are 3.0; expected different ones"),
    ],
)  # fmt: skip
def test_depths_that_cannot_be(depths: list[list[float]], line: str) -> None:
    feed = tensor_feed(torch.zeros(2, 2, 3), torch.tensor(depths))
    with pytest.raises(UserError) as error:
        objective(pixel_params("depth"), CLASSES, feed, "data")
    assert str(error.value) == line


def test_a_table_without_depths_is_refused(tmp_path: Path) -> None:
    values = columns(PLANES)
    del values["depth"]
    with pytest.raises(UserError, match="no column 'depth'; found sample, image"):
        feeds(write_dense(tmp_path / "data", PLANES, values), "depth")


@pytest.mark.parametrize("record", [{}, {"loss": "l3", "scale": "log", "mean": 0.0, "std": 1.0},
    {"loss": "l1", "scale": "log", "mean": 0.0, "std": 0.0}])  # fmt: skip
def test_a_record_of_something_else_is_refused(record: dict[str, Any]) -> None:
    with pytest.raises(
        UserError, match=r"^model\.json: objective is {.*; expected what train wrote"
    ):
        recorded("depth", record, CLASSES)
