"""How well classes are told apart: accuracy, likelihood, Brier score, confusion, by class."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "ClassScores",
    "accuracy",
    "brier",
    "check_probabilities",
    "class_scores",
    "confusion_matrix",
    "nll",
]

_OFF_ONE = 1e-4  # how far float32 probabilities of many classes may sum from 1


def accuracy(scores: Tensor, labels: Tensor) -> float:
    """The share of samples whose largest score is at the label.

    ``scores (n, classes)``, logits or probabilities; ``labels (n,)`` int64 from 0.
    """
    _check("scores", scores, labels)
    return float((scores.argmax(dim=1) == labels).double().mean())


def nll(logits: Tensor, labels: Tensor) -> Tensor:
    """``-log p(label) = logsumexp(logits) - logits[label]`` in nats: a sample each.

    ``logits (n, classes)``, ``labels (n,)`` int64 -> ``(n,)`` float64. Finite for every finite
    logit, however large: no probability is formed that could round to zero.
    """
    _check("logits", logits, labels)
    return F.cross_entropy(logits.double(), labels, reduction="none")


def brier(probabilities: Tensor, labels: Tensor) -> Tensor:
    """``sum_c (p_c - [c = label])^2``, from 0 to 2: a sample each.

    ``probabilities (n, classes)``, ``labels (n,)`` int64 -> ``(n,)`` float64. The sum runs over
    all classes, as in Brier's paper (Monthly Weather Review 78, 1950), two classes included.
    """
    _check("probabilities", probabilities, labels)
    check_probabilities(probabilities)
    truth = F.one_hot(labels, probabilities.shape[1])
    return (probabilities.double() - truth).square().sum(dim=1)


def confusion_matrix(predicted: Tensor, labels: Tensor, classes: int) -> Tensor:
    """``M[i, j]``: how many samples of class ``i`` were taken for class ``j``.

    ``predicted (n,)`` and ``labels (n,)`` int64 -> ``(classes, classes)`` int64. Rows sum to the
    classes' sizes, and the diagonal is what was right.
    """
    for name, value in (("predicted", predicted), ("labels", labels)):
        _check_labels(name, value, classes)
    if predicted.shape != labels.shape:
        found = f"{tuple(predicted.shape)} and {tuple(labels.shape)}"
        raise ValueError(f"predicted and labels have shapes {found}; expected one shape (n,)")
    counts = torch.bincount(labels * classes + predicted, minlength=classes**2)
    return counts.reshape(classes, classes)


@dataclass(frozen=True)
class ClassScores:
    """Scores by class, each ``(classes,)``: float64, NaN where undefined; ``support`` is int64."""

    precision: Tensor
    recall: Tensor
    f1: Tensor
    support: Tensor


def class_scores(confusion: Tensor) -> ClassScores:
    """From the counts TP, FP, FN of each class in a confusion matrix ``M[actual, predicted]``:

    precision = TP / (TP + FP), recall = TP / (TP + FN), F1 = 2 TP / (2 TP + FP + FN), and
    support = TP + FN. ``0 / 0`` is NaN: the precision of a class that was never predicted, the
    recall of one that has no sample; F1 is undefined only where both are.
    """
    if confusion.ndim != 2 or confusion.shape[0] != confusion.shape[1]:
        found = tuple(confusion.shape)
        raise ValueError(f"confusion has shape {found}; expected (classes, classes)")
    right = confusion.diagonal().double()
    actual, predicted = confusion.sum(dim=1), confusion.sum(dim=0)
    return ClassScores(
        precision=right / predicted,
        recall=right / actual,
        f1=2 * right / (actual + predicted),
        support=actual,
    )


def check_probabilities(probabilities: Tensor) -> None:
    """Raise ``ValueError`` unless the last axis holds numbers >= 0 that sum to 1."""
    if probabilities.ndim == 0 or probabilities.shape[-1] == 0:
        found = tuple(probabilities.shape)
        raise ValueError(f"probabilities has shape {found}; expected (..., classes)")
    if not bool((probabilities >= 0).all()):
        least = float(probabilities.min())
        raise ValueError(f"probabilities has an entry {least}; expected none below 0")
    off = (probabilities.double().sum(dim=-1) - 1).abs()
    if off.numel() and not float(off.max()) <= _OFF_ONE:
        raise ValueError(f"probabilities sum to 1 within {float(off.max()):.3g}; expected to 1")


def _check(name: str, values: Tensor, labels: Tensor) -> None:
    if values.ndim != 2 or 0 in values.shape or not values.is_floating_point():
        found = f"{values.dtype} of shape {tuple(values.shape)}"
        raise ValueError(f"{name} is {found}; expected floats (n, classes), at least one of each")
    _check_labels("labels", labels, values.shape[1])
    if len(labels) != len(values):
        raise ValueError(f"labels has {len(labels)} entries; expected {len(values)}, as {name}")


def _check_labels(name: str, labels: Tensor, classes: int) -> None:
    if labels.ndim != 1 or labels.dtype != torch.int64:
        found = f"{labels.dtype} of shape {tuple(labels.shape)}"
        raise ValueError(f"{name} is {found}; expected int64 (n,)")
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        found = f"{int(labels.min())} to {int(labels.max())}"
        raise ValueError(f"{name} runs from {found}; expected 0 to {classes - 1}")
