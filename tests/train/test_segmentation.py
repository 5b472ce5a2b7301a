"""Cross-entropy of pixels against sums written out, class weights against counting."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from geocore.data.table import IGNORED
from geocore.errors import UserError
from geocore.train.feed import tensor_feed
from geocore.train.loop import score, train
from geocore.train.objective import objective, recorded
from geocore.train.segmentation import Segmentation, class_counts, class_weights
from geocore.train.state import TrainState
from tests.train.pixels import CLASSES, MAPS, PerPixel, columns, feeds, pixel_params, write_dense
from tests.train.scenes import CPU

WEIGHTS = (0.5, 2.0, 4.0)


def batch(pixels: int = 40) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    target = torch.randint(3, (4, pixels), generator=generator).to(torch.uint8)
    target[torch.rand(4, pixels, generator=generator) < 0.2] = IGNORED
    return torch.randn(4, pixels, 3, generator=generator, dtype=torch.float64), target


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_by_hand(weights: tuple[float, ...] | None, smoothing: float) -> None:
    output, target = batch()
    found = Segmentation(3, weights, smoothing).loss(output, target)
    top = smooth = below = 0.0
    for row, labels in zip(output.log_softmax(dim=-1).tolist(), target.tolist(), strict=True):
        for log_p, label in zip(row, labels, strict=True):
            if label == IGNORED:
                continue
            w = weights or (1.0, 1.0, 1.0)
            top -= w[label] * log_p[label]
            smooth -= sum(w[c] * log_p[c] for c in range(3)) / 3
            below += w[label]
    assert float(found.weight) == pytest.approx(below, rel=1e-12)
    assert float(found.mean) == pytest.approx(top / below, rel=1e-12)
    expected = ((1 - smoothing) * top + smoothing * smooth) / below
    assert float(found.loss) == pytest.approx(expected, rel=1e-12)


def test_the_loss_is_torchs_own() -> None:
    output, target = batch()
    loss = torch.nn.CrossEntropyLoss(
        torch.tensor(WEIGHTS, dtype=torch.float64), ignore_index=IGNORED, label_smoothing=0.1
    )
    expected = loss(output.movedim(-1, 1), target.long())
    torch.testing.assert_close(
        Segmentation(3, WEIGHTS, 0.1).loss(output, target).loss, expected, rtol=1e-12, atol=0
    )


def test_images_are_as_good_as_maps() -> None:
    output, target = batch()
    objective = Segmentation(3, WEIGHTS, 0.1)
    planar = objective.loss(output.reshape(4, 5, 8, 3), target.reshape(4, 5, 8))
    assert all(map(torch.equal, planar, objective.loss(output, target)))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_a_batch_without_labels_moves_nothing(smoothing: float) -> None:
    output, target = batch()
    leaf = output.requires_grad_()
    found = Segmentation(3, WEIGHTS, smoothing).loss(leaf, torch.full_like(target, IGNORED))
    found.loss.backward()
    assert leaf.grad is not None
    assert (float(found.loss.detach()), float(found.mean.detach()), float(found.weight)) == (
        0,
        0,
        0,
    )
    assert not leaf.grad.any()


def test_the_score_whatever_the_batches() -> None:
    output, target = batch()
    predicted, counted = output.argmax(dim=-1), target != IGNORED
    shares = [
        float((counted & (predicted == c) & (target == c)).sum())
        / float((counted & ((predicted == c) | (target == c))).sum())
        for c in range(3)
    ]
    nll = torch.nn.functional.cross_entropy(
        output.flatten(0, 1), target.flatten().long(), torch.tensor(WEIGHTS).double(),
        ignore_index=IGNORED,
    )  # fmt: skip
    for size in (1, 3, 4):
        found = Segmentation(3, WEIGHTS).score()
        for rows in torch.arange(4).split(size):
            found.add(output[rows], target[rows])
        assert found.values()["val_mean_iou"] == pytest.approx(sum(shares) / 3, abs=1e-15)
        assert found.values()["val_nll"] == pytest.approx(float(nll), rel=1e-12)


def test_class_weights_by_counting() -> None:
    """Two samples of four pixels: class 0 in the first alone, class 2 nowhere."""
    target = torch.tensor([[0, 0, 0, 1], [1, 1, IGNORED, 1]], dtype=torch.uint8)
    counts = class_counts(tensor_feed(torch.zeros(2, 4, 3), target), 3)
    assert [value.tolist() for value in counts] == [[3, 4, 0], [4, 7, 0]]
    share, among = (3 / 7, 4 / 7), (3 / 4, 4 / 7)
    median = (among[0] + among[1]) / 2
    rules = {
        "inverse_frequency": [1 / s for s in share],
        "median_frequency": [median / a for a in among],
        "inverse_log_frequency": [1 / math.log(1.02 + s) for s in share],
    }
    for rule, raw in rules.items():
        scale = share[0] * raw[0] + share[1] * raw[1]
        found = class_weights(rule, *counts)  # type: ignore[arg-type]
        assert found.tolist() == pytest.approx([raw[0] / scale, raw[1] / scale, 0], rel=1e-12)


def test_weights_come_from_the_training_split_and_are_kept(tmp_path: Path) -> None:
    values = columns(MAPS)
    training, _ = feeds(write_dense(tmp_path / "data", MAPS, values), "segmentation")
    params = pixel_params("segmentation", class_weights="inverse_frequency", label_smoothing=0.1)
    learned = objective(params, CLASSES, training, "data")
    assert isinstance(learned, Segmentation) and learned.weights is not None
    counted = values["valid"] & (values["label"] != IGNORED)
    labels = values["label"][counted & (values["split"] == 0)[:, None]]
    expected = [len(labels) / 3 / int((labels == c).sum()) for c in range(3)]
    assert learned.weights == pytest.approx(expected, rel=1e-12)
    again = recorded("segmentation", learned.record(), CLASSES)
    assert again == Segmentation(3, learned.weights)
    assert (learned.outputs, learned.dense, learned.label_smoothing) == (3, True, 0.1)


def test_an_epochs_mean_is_over_pixels_and_not_over_batches(tmp_path: Path) -> None:
    """At a learning rate of almost nothing the epoch's mean is that of the initial weights."""
    values = columns(MAPS)
    values["valid"][0, 1:] = False  # a sample with at most one pixel
    training, validation = feeds(write_dense(tmp_path / "data", MAPS, values), "segmentation")
    params = pixel_params("segmentation", epochs=1, batch_size=1, lr=1e-12)
    state = TrainState.start(PerPixel(3, dropout=0.0), params, CPU)
    train(state, training, validation, params, objective=Segmentation(3, WEIGHTS))
    expected = score(state.model, training, 8, Segmentation(3, WEIGHTS))["val_nll"]
    assert state.curve[0]["train_nll"] == pytest.approx(expected, rel=1e-6)
    assert list(state.curve[0]) == list(Segmentation(3).columns)


def test_it_learns_and_keeps_the_best_mean_iou(tmp_path: Path) -> None:
    training, validation = feeds(
        write_dense(tmp_path / "data", MAPS, columns(MAPS)), "segmentation"
    )
    params = pixel_params("segmentation", epochs=40, lr=0.1)
    state = TrainState.start(PerPixel(3, dropout=0.0), params, CPU)
    learned = Segmentation(3)
    train(state, training, validation, params, objective=learned)
    assert state.best is not None
    best = max(row["val_mean_iou"] for row in state.curve)
    assert state.best["val_mean_iou"] == best > 0.6 > state.curve[0]["val_mean_iou"]
    state.model.load_state_dict(state.best_weights)
    assert score(state.model, validation, 4, learned).items() <= state.best.items()
    assert state.headline().startswith("validation nll ") and "mean iou 0." in state.headline()


def test_a_label_that_is_no_class_is_named() -> None:
    target = torch.tensor([[0, 1], [IGNORED, 3]], dtype=torch.uint8)
    feed = tensor_feed(torch.zeros(2, 2, 3), target)
    with pytest.raises(UserError) as error:
        objective(pixel_params("segmentation"), CLASSES, feed, "data")
    assert str(error.value) == (
        "data: sample 1 has label 3 at pixel 1; expected 0 to 2, or 255 where there is none"
    )


def test_a_split_without_a_label_is_told() -> None:
    feed = tensor_feed(torch.zeros(2, 2, 3), torch.full((2, 2), IGNORED, dtype=torch.uint8))
    with pytest.raises(UserError, match=r"^data: no pixel of the feed has a label; expected some$"):
        objective(pixel_params("segmentation"), CLASSES, feed, "data")


def test_a_table_without_classes_is_refused() -> None:
    feed = tensor_feed(torch.zeros(2, 2, 3), torch.zeros(2, 2, dtype=torch.uint8))
    with pytest.raises(UserError, match=r"^data: names no classes; expected a name for each label"):
        objective(pixel_params("segmentation"), (), feed, "data")
