"""What torchmetrics measures as well, on the same predictions; it works in float32."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_calibration_error,
    multiclass_confusion_matrix,
)

from geocore.measure.calibration import calibration_error
from geocore.measure.classification import accuracy, class_scores, confusion_matrix
from geocore.measure.streaming import EnsembleTally

CLASSES = 7


def predictions(seed: int, scale: float) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scores = scale * torch.randn(2000, CLASSES, generator=generator)
    labels = torch.multinomial((scores / 2).softmax(dim=1), 1, generator=generator)[:, 0]
    return scores, labels


@pytest.mark.parametrize("scale", [0.5, 2.0, 5.0])
def test_accuracy(scale: float) -> None:
    scores, labels = predictions(0, scale)
    theirs = multiclass_accuracy(scores, labels, CLASSES, average="micro")
    assert accuracy(scores, labels) == pytest.approx(float(theirs), abs=1e-6)


@pytest.mark.parametrize("bins", [1, 10, 15])
@pytest.mark.parametrize("scale", [0.5, 2.0, 5.0])
def test_calibration_error_of_equal_widths(scale: float, bins: int) -> None:
    scores, labels = predictions(1, scale)
    p = scores.softmax(dim=1)
    theirs = float(multiclass_calibration_error(p, labels, CLASSES, n_bins=bins, norm="l1"))
    confidences, predicted = p.max(dim=1)
    assert calibration_error(confidences, predicted == labels, bins) == pytest.approx(
        theirs, abs=1e-5
    )
    tally = EnsembleTally(bins)
    tally.add(p.double().log()[None], labels)
    assert tally.values()["ece"] == pytest.approx(theirs, abs=1e-5)


def test_confusion_and_recall() -> None:
    scores, labels = predictions(2, 2.0)
    predicted = scores.argmax(dim=1)
    mine = confusion_matrix(predicted, labels, CLASSES)
    assert torch.equal(mine, multiclass_confusion_matrix(predicted, labels, CLASSES))
    theirs = multiclass_accuracy(predicted, labels, CLASSES, average="none")
    torch.testing.assert_close(class_scores(mine).recall, theirs.double(), rtol=0, atol=1e-6)
