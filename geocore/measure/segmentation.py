"""How well pixels are labelled: intersection over union from counts that are summed batch by batch.

All scores follow from the confusion counts ``M[actual, predicted]`` over pixels, which are
integers: a data set may be counted in any order and in pieces, and the result is the same.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

__all__ = ["IGNORED", "PixelCounts", "class_iou", "mean_iou", "pixel_accuracy", "pixel_confusion"]

IGNORED = 255  # the label of a pixel that nobody knows: in no loss and in no score


def pixel_confusion(
    predicted: Tensor,
    labels: Tensor,
    classes: int,
    valid: Tensor | None = None,
    ignored: int = IGNORED,
) -> Tensor:
    """``M[i, j]``: how many pixels of class ``i`` were taken for class ``j``; int64.

    ``predicted`` and ``labels`` are integers of one shape; ``valid`` is a bool of the same shape.
    Pixels that are not valid and pixels labelled ``ignored`` are not looked at, whatever they were
    taken for. All others raise ``ValueError`` unless both numbers are from 0 to ``classes - 1``.
    """
    if predicted.shape != labels.shape:
        found = f"{tuple(predicted.shape)} and {tuple(labels.shape)}"
        raise ValueError(f"predicted and labels have shapes {found}; expected one shape")
    if valid is not None and (valid.shape != labels.shape or valid.dtype != torch.bool):
        found = f"{valid.dtype} of shape {tuple(valid.shape)}"
        raise ValueError(f"valid is {found}; expected torch.bool of shape {tuple(labels.shape)}")
    counted = labels != ignored
    if valid is not None:
        counted = counted & valid
    actual, taken = labels[counted], predicted[counted]
    for name, value in (("labels", actual), ("predicted", taken)):
        if value.is_floating_point() or value.dtype == torch.bool:
            raise TypeError(f"{name} is {value.dtype}; expected integers")
        if len(value) and not 0 <= int(value.min()) <= int(value.max()) < classes:
            found = f"{int(value.min())} to {int(value.max())}"
            raise ValueError(f"{name} runs from {found}; expected 0 to {classes - 1}")
    place = actual.long() * classes + taken.long()
    return torch.bincount(place, minlength=classes**2).reshape(classes, classes)


def class_iou(confusion: Tensor) -> Tensor:
    """``IoU_c = TP / (TP + FP + FN)`` of each class, ``(classes,)`` float64.

    NaN for a class that neither occurs nor is predicted: it has no union. From ``confusion
    (classes, classes)`` ``[actual, predicted]``. Source: Everingham et al., the PASCAL VOC
    challenge (IJCV 2010), section 4.3.
    """
    _check(confusion)
    both = confusion.diagonal().double()
    return both / (confusion.sum(dim=0) + confusion.sum(dim=1) - both)


def mean_iou(confusion: Tensor, without: Collection[int] = ()) -> float:
    """The mean of ``class_iou`` over the classes that have one, but for those in ``without``.

    A class in ``without`` (the invalid or void one) gives no term of its own; its pixels are still
    false positives of the classes that they are taken for. To leave its pixels out altogether,
    label them ``IGNORED``. NaN if no class is left.
    """
    found = class_iou(confusion)
    for place in without:
        if not 0 <= place < len(found):
            raise ValueError(f"without names class {place}; expected 0 to {len(found) - 1}")
    kept = ~found.isnan()
    kept[list(without)] = False
    return float(found[kept].mean())


def pixel_accuracy(confusion: Tensor) -> float:
    """The share of counted pixels that were labelled rightly; NaN if there are none."""
    _check(confusion)
    return float(confusion.diagonal().sum().double() / confusion.sum())


class PixelCounts:
    """Confusion counts of many batches: ``add`` them, then read ``confusion (classes, classes)``.

    ``add`` returns the counts of its own batch. Memory does not grow with the number of pixels.
    """

    def __init__(self, classes: int, ignored: int = IGNORED) -> None:
        if classes < 1:
            raise ValueError(f"classes is {classes}; expected at least 1")
        self.classes, self.ignored = classes, ignored
        self.confusion = torch.zeros(classes, classes, dtype=torch.int64)

    def add(self, predicted: Tensor, labels: Tensor, valid: Tensor | None = None) -> Tensor:
        """Count a batch, as ``pixel_confusion`` does."""
        found = pixel_confusion(predicted, labels, self.classes, valid, self.ignored).cpu()
        self.confusion += found
        return found

    def iou(self) -> Tensor:
        """``class_iou`` of all that was added."""
        return class_iou(self.confusion)

    def mean_iou(self, without: Collection[int] = ()) -> float:
        """``mean_iou`` of all that was added."""
        return mean_iou(self.confusion, without)

    def accuracy(self) -> float:
        """``pixel_accuracy`` of all that was added."""
        return pixel_accuracy(self.confusion)


def _check(confusion: Tensor) -> None:
    if confusion.ndim != 2 or confusion.shape[0] != confusion.shape[1]:
        found = tuple(confusion.shape)
        raise ValueError(f"confusion has shape {found}; expected (classes, classes)")
