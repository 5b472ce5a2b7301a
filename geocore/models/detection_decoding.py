"""From what a detector says at each pixel to a list of things, each told once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from geocore.measure.detection import box_iou
from geocore.models.detection import Predictions
from geocore.models.detection_targets import places

__all__ = ["Detections", "decode", "turned_boxes", "unsuppressed"]


@dataclass(frozen=True)
class Detections:
    """Things of one image by falling score.

    ``label (n,)`` from 1, ``score (n,)`` the probability of a thing of that class, ``box (n, 4)``
    as ``(top, left, bottom, right)``; where masks are meant the square of the mask's size about its
    centre.
    """

    label: Tensor
    score: Tensor
    box: Tensor


def decode(
    found: Predictions,
    stride: int,
    shape: tuple[int, int],
    *,
    threshold: float = 0.3,
    overlap: float = 0.5,
    most: int = 300,
) -> list[Detections]:
    """The things of each image of ``shape`` (height, width), at least as likely as ``threshold``.

    Of the ``most`` likely pixels each names a class, a centre and a size; of those that name the
    same class and overlap by more than ``overlap`` the likeliest stays. Boxes overlap by
    intersection over union, masks by ``1 - distance / larger size``. Raises ``ValueError`` for a
    threshold outside 0 to 1.
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold}; expected 0 to 1")
    place = places(found.size.shape[-2], found.size.shape[-1], stride).to(found.size)
    likely, label = (found.objectness.sigmoid()[:, None] * found.classes.softmax(dim=1)).max(dim=1)
    centre = place + found.offset
    stretch = torch.zeros_like(found.size) if found.stretch is None else found.stretch
    width, height = ((found.size + sign * stretch).clamp_max(20).exp() for sign in (1, -1))
    row, column = shape[0] / 2 - centre[:, 1], shape[1] / 2 + centre[:, 0]
    box = torch.stack(
        [row - height / 2, column - width / 2, row + height / 2, column + width / 2], dim=-1
    )
    told = []
    for number in range(len(likely)):
        score, order = likely[number].flatten().sort(descending=True, stable=True)
        order = order[:most][score[:most] >= threshold]
        boxes = box[number].flatten(0, 1)[order]
        labels = label[number].flatten()[order] + 1
        share = box_iou(boxes, boxes) if found.stretch is not None else _closeness(boxes)
        same = labels[:, None] == labels[None, :]
        kept = unsuppressed((share > overlap) & same)
        told.append(Detections(labels[kept], score[: len(order)][kept], boxes[kept]))
    return told


def unsuppressed(overlapping: Tensor) -> Tensor:
    """Greedy suppression: ``kept[i]`` unless a kept ``j < i`` overlaps it, ``(n, n)`` -> ``(n,)``.

    The rule is applied to all at once until nothing changes: after k rounds the first k are right,
    and chains of overlaps are short.
    """
    earlier = overlapping.tril(diagonal=-1)
    kept = torch.ones(len(overlapping), dtype=torch.bool, device=overlapping.device)
    while True:
        now = ~(earlier & kept[None, :]).any(dim=1)
        if torch.equal(now, kept):
            return kept
        kept = now


def turned_boxes(box: Tensor, quarter: int, mirrored: bool, size: int) -> Tensor:
    """Boxes ``(n, 4)`` in a square image of ``size``, under ``R(90 quarter) F^mirrored``.

    ``F`` mirrors left and right, ``R`` turns counter-clockwise: the action of ``PlanarGroup`` on
    images.
    """
    top, left, bottom, right = box.unbind(dim=-1)
    if mirrored:
        left, right = size - right, size - left
    for _ in range(quarter % 4):
        top, left, bottom, right = size - right, top, size - left, bottom
    return torch.stack([top, left, bottom, right], dim=-1)


def _closeness(boxes: Tensor) -> Tensor:
    centre, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2] - boxes[:, 0]
    apart = (centre[:, None] - centre[None, :]).square().sum(dim=-1).sqrt()
    return 1 - apart / torch.maximum(size[:, None], size[None, :])
