"""How well things are found: boxes that overlap enough, and the average precision over all scores.

A box is ``(top, left, bottom, right)`` in rows and columns, the last two just outside, as
``Canvas.boxes`` has them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["average_precision", "box_iou", "mean_average_precision"]

Found = tuple[Tensor, Tensor, Tensor]
Truth = tuple[Tensor, Tensor]


def box_iou(one: Tensor, two: Tensor) -> Tensor:
    """``|a & b| / |a | b|`` of each of ``(n, 4)`` with each of ``(m, 4)``: ``(n, m)``.

    0 where both are empty; floats. Raises ``ValueError`` for other shapes.
    """
    for name, boxes in (("one", one), ("two", two)):
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ValueError(f"{name} has shape {tuple(boxes.shape)}; expected (n, 4)")
    kind = torch.promote_types(one.dtype, two.dtype)
    one, two = (boxes.to(kind if kind.is_floating_point else torch.float64) for boxes in (one, two))
    low = torch.maximum(one[:, None, :2], two[None, :, :2])
    high = torch.minimum(one[:, None, 2:], two[None, :, 2:])
    shared = (high - low).clamp_min(0).prod(dim=-1)
    areas = ((boxes[:, 2:] - boxes[:, :2]).clamp_min(0).prod(dim=-1) for boxes in (one, two))
    joined = next(areas)[:, None] + next(areas)[None, :] - shared
    return torch.where(joined > 0, shared / joined.clamp_min(torch.finfo(joined.dtype).tiny), 0.0)


def average_precision(
    found: Sequence[Found], truth: Sequence[Truth], label: int, overlap: float = 0.5
) -> float | None:
    """``int_0^1 max_{r' >= r} precision(r') dr`` of one class; None where no image shows it.

    ``found`` holds for each image labels ``(n,)``, scores ``(n,)`` and boxes ``(n, 4)``, ``truth``
    labels and boxes. The detections of all images are taken by falling score; one is right if the
    box that it overlaps most, among those of its class and image, is overlapped by at least
    ``overlap`` and was not found before. Equal scores are taken in the order of ``found``. Raises
    ``ValueError`` for lists of different lengths.
    """
    if len(found) != len(truth):
        raise ValueError(f"found has {len(found)} images; expected {len(truth)} as truth has")
    scores, right, there = [], [], 0
    for (labels, score, boxes), (true_labels, true_boxes) in zip(found, truth, strict=True):
        mine, theirs = labels == label, true_labels == label
        there += int(theirs.sum())
        order = score[mine].argsort(descending=True, stable=True)
        scores.append(score[mine][order].double().cpu())
        right.append(_matched(boxes[mine][order], true_boxes[theirs], overlap))
    if there == 0:
        return None
    order = torch.cat(scores).argsort(descending=True, stable=True)
    hits = torch.cat(right)[order].double()
    if len(hits) == 0:
        return 0.0
    precision = hits.cumsum(0) / torch.arange(1, len(hits) + 1, dtype=torch.float64)
    best_later = precision.flip(0).cummax(0).values.flip(0)
    return float((best_later * hits).sum() / there)


def mean_average_precision(
    found: Sequence[Found], truth: Sequence[Truth], overlap: float = 0.5
) -> float | None:
    """The mean of ``average_precision`` over the classes that the images show; None without any."""
    shown = sorted({int(label) for labels, _ in truth for label in labels})
    each = [average_precision(found, truth, label, overlap) for label in shown]
    known = [value for value in each if value is not None]
    return sum(known) / len(known) if known else None


def _matched(boxes: Tensor, truth: Tensor, overlap: float) -> Tensor:
    """Which of the boxes, by falling score, are the first to find what they overlap most."""
    right = torch.zeros(len(boxes), dtype=torch.bool)
    if len(boxes) and len(truth):
        most, which = box_iou(boxes, truth).max(dim=1)
        taken: set[int] = set()
        for number, (value, place) in enumerate(zip(most.tolist(), which.tolist(), strict=True)):
            if value >= overlap and place not in taken:
                right[number] = True
                taken.add(place)
    return right
