"""Classification scores against hand counts, brute force and closed forms."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch

from geocore.measure.classification import (
    accuracy,
    brier,
    class_scores,
    confusion_matrix,
    nll,
)


def test_accuracy_counts() -> None:
    scores = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    assert accuracy(scores, torch.tensor([1, 0, 0, 0])) == 0.75


def test_nll_of_a_uniform_prediction_is_the_log_of_the_classes() -> None:
    found = nll(torch.zeros(3, 10), torch.tensor([0, 4, 9]))
    assert found.dtype == torch.float64
    assert found.tolist() == pytest.approx([math.log(10)] * 3, abs=1e-15)


def test_nll_stays_finite_where_probabilities_vanish() -> None:
    # softmax of these is exactly (1, 0), whose logarithm is minus infinity.
    found = nll(torch.tensor([[1e4, -1e4], [1e38, -1e38]]), torch.tensor([1, 1]))
    assert found[0] == 2e4
    assert float(found[1]) == pytest.approx(2e38, rel=1e-7)


def test_nll_by_brute_force() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(20, 4, generator=generator, dtype=torch.float64)
    labels = torch.randint(4, (20,), generator=generator)
    rows = zip(logits.tolist(), labels.tolist(), strict=True)
    expected = [math.log(math.fsum(math.exp(v) for v in row)) - row[k] for row, k in rows]
    assert nll(logits, labels).tolist() == pytest.approx(expected, abs=1e-14)


def test_brier_of_known_predictions() -> None:
    probabilities = torch.tensor([[1, 0, 0], [1, 0, 0], [1 / 3, 1 / 3, 1 / 3], [0.5, 0.3, 0.2]])
    found = brier(probabilities.double(), torch.tensor([0, 1, 2, 1]))
    # Right: 0; wrong and certain: 2; uniform: (2/3)^2 + 2/9; .25 + .49 + .04.
    assert found.tolist() == pytest.approx([0, 2, 2 / 3, 0.78], abs=1e-7)


def test_confusion_by_brute_force() -> None:
    generator = torch.Generator().manual_seed(1)
    predicted, labels = torch.randint(5, (2, 200), generator=generator)
    found = confusion_matrix(predicted, labels, 6)
    counted = Counter(zip(labels.tolist(), predicted.tolist(), strict=True))
    assert {(i, j): int(found[i, j]) for i in range(6) for j in range(6) if found[i, j]} == counted
    assert torch.equal(found.sum(dim=1), torch.bincount(labels, minlength=6))


def test_class_scores_of_a_matrix_counted_by_hand() -> None:
    # Class 0: TP 3, FP 1, FN 1. Class 1: TP 1, FP 1, FN 1. Classes 2 and 3 neither occur nor
    # are predicted.
    matrix = torch.tensor([[3, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    scores = class_scores(matrix)
    assert scores.precision[:2].tolist() == [0.75, 0.5]
    assert scores.recall[:2].tolist() == [0.75, 0.5]
    assert scores.f1[:2].tolist() == [0.75, 0.5]
    assert scores.support.tolist() == [4, 2, 0, 0]
    for undefined in (scores.precision, scores.recall, scores.f1):
        assert undefined[2:].isnan().all()


def test_a_class_that_is_never_predicted_has_no_precision_but_an_f1() -> None:
    scores = class_scores(torch.tensor([[2, 0], [2, 0]]))
    assert scores.precision[0] == 0.5
    assert scores.precision[1].isnan()
    assert scores.recall.tolist() == [1, 0]
    assert scores.f1.tolist() == [pytest.approx(2 / 3), 0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: accuracy(torch.zeros(2, 3), torch.tensor([0, 3])),
            "labels runs from 0 to 3; expected 0 to 2",
        ),
        (
            lambda: nll(torch.zeros(2, 3), torch.tensor([0])),
            "labels has 1 entries; expected 2, as logits",
        ),
        (
            lambda: nll(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)),
            r"logits is torch.float32 of shape \(0, 3\); expected floats \(n, classes\)",
        ),
        (
            lambda: brier(torch.tensor([[0.5, 0.6]]), torch.tensor([0])),
            "probabilities sum to 1 within 0.1; expected to 1",
        ),
        (
            lambda: brier(torch.tensor([[1.5, -0.5]]), torch.tensor([0])),
            "probabilities has an entry -0.5; expected none below 0",
        ),
        (
            lambda: confusion_matrix(torch.tensor([0.0]), torch.tensor([0]), 2),
            r"predicted is torch.float32 of shape \(1,\); expected int64 \(n,\)",
        ),
        (
            lambda: confusion_matrix(torch.tensor([0, 1]), torch.tensor([0]), 2),
            r"predicted and labels have shapes \(2,\) and \(1,\); expected one shape \(n,\)",
        ),
        (
            lambda: class_scores(torch.zeros(2, 3)),
            r"confusion has shape \(2, 3\); expected \(classes, classes\)",
        ),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=message):
        call()
