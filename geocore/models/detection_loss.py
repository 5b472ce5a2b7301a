"""The loss of a detector: a number that does not change when image and things turn together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from geocore.models.detection import Predictions
from geocore.models.detection_targets import Items, Targets, assign

__all__ = ["detection_loss"]

_FOCUS = 2.0  # exponent of the focal loss: what is easy counts little


def detection_loss(found: Predictions, items: Sequence[Items], stride: int) -> Tensor:
    """``focal(objectness) + cross entropy(class) + |offset| / size + size``, a mean over things.

    The focal loss ``(1 - p)^2 (-log p)`` of what each pixel is (Lin et al., 2017) is summed over
    pixels; the rest is over pixels of a thing: smooth L1 of the offset's length in units of the
    thing's size, for masks of the logarithm of the size, for boxes of those of width and height,
    and then ``1 - IoU``. All are divided by the number of pixels of things, at least 1. Raises
    ``ValueError`` if ``items`` are not one an image.
    """
    if len(items) != len(found.objectness):
        raise ValueError(f"items has {len(items)} images; expected {len(found.objectness)}")
    kind = "mask" if found.stretch is None else "box"
    shape = (found.size.shape[-2], found.size.shape[-1])
    total, pixels = found.objectness.new_zeros(()), 0
    for number, things in enumerate(items):
        one = Predictions(*(None if part is None else part[number] for part in found))  # type: ignore[arg-type]
        targets = assign(things, shape, stride, kind)
        total = total + _focal(one.objectness, targets.state.to(one.objectness.device))
        count = int((targets.state == 1).sum())
        if count:
            total = total + _of_things(one, things, targets)
        pixels += count
    return total / max(pixels, 1)


def _focal(logit: Tensor, state: Tensor) -> Tensor:
    right = torch.where(state == 1, logit, -logit)
    each = torch.sigmoid(-right) ** _FOCUS * F.softplus(-right)
    return each[state >= 0].sum()


def _of_things(found: Predictions, items: Items, targets: Targets) -> Tensor:
    """The sum over the pixels that are a thing's."""
    like = found.size
    there = (targets.state == 1).to(like.device)
    item = targets.item.to(like.device)[there]
    label = items.label.to(like.device)[item] - 1
    size, extent = (value.to(like)[item] for value in (items.size, items.extent))
    total = F.cross_entropy(found.classes[:, there].T, label, reduction="sum")
    missed = found.offset[:, there] - targets.offset.to(like)[:, there]
    length = missed.square().sum(dim=0).clamp_min(1e-12).sqrt() / size
    total = total + F.smooth_l1_loss(length, torch.zeros_like(length), reduction="sum", beta=0.1)
    told = found.size[there]
    if found.stretch is None:
        return total + F.smooth_l1_loss(told, size.log(), reduction="sum", beta=0.1)
    stretch = found.stretch[there]
    logs = torch.stack([told + stretch, told - stretch], dim=1)
    total = total + F.smooth_l1_loss(logs, extent.log(), reduction="sum", beta=0.1)
    return total + (1 - _iou(missed.T, logs.clamp_max(20).exp(), extent)).sum()


def _iou(missed: Tensor, found: Tensor, extent: Tensor) -> Tensor:
    """Of boxes whose centres are ``missed`` apart, with these widths and heights, pair by pair."""
    low = torch.maximum(missed - found / 2, -extent / 2)
    high = torch.minimum(missed + found / 2, extent / 2)
    shared = (high - low).clamp_min(0).prod(dim=1)
    return shared / (found.prod(dim=1) + extent.prod(dim=1) - shared)
