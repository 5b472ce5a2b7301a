"""What a detector is to say at each pixel, from boxes or from masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Items", "Targets", "assign", "items_from_boxes", "items_from_masks", "places"]

_CENTRAL = 0.5  # share of a thing's extent, about its centre, whose pixels are to find it


@dataclass(frozen=True)
class Items:
    """The things of one image.

    ``label (n,)`` from 1, ``centre (n, 2)`` in pixels from the image's middle, x to the right and
    y up, ``extent (n, 2)`` width and height of the box, ``size (n,)`` of what is told as one
    number, ``box (n, 4)`` as ``(top, left, bottom, right)``.
    """

    label: Tensor
    centre: Tensor
    extent: Tensor
    size: Tensor
    box: Tensor


class Targets(NamedTuple):
    """At each of ``h w`` pixels: ``state`` 1 of a thing, 0 of none, -1 of no account; which thing.

    ``item`` is -1 where there is none; ``offset (2, h, w)`` leads to its centre.
    """

    state: Tensor
    item: Tensor
    offset: Tensor


def items_from_boxes(label: Tensor, box: Tensor, shape: tuple[int, int]) -> Items:
    """Boxes ``(n, 4)`` and labels ``(n,)`` of an image of ``shape`` (height, width), as ``Items``.

    Entries of label 0, with which ``Canvas.boxes`` fills up, are left out. ``size`` is
    ``sqrt(width height)``. Raises ``ValueError`` for other shapes and boxes without area.
    """
    if box.ndim != 2 or box.shape[1] != 4 or label.shape != box.shape[:1]:
        found = f"{tuple(label.shape)} and {tuple(box.shape)}"
        raise ValueError(f"label and box have shapes {found}; expected (n,) and (n, 4)")
    label, box = label[label > 0], box[label > 0].double()
    extent = (box[:, 2:] - box[:, :2]).flip(1)
    if bool((extent <= 0).any()):
        worst = box[(extent <= 0).any(dim=1)][0].tolist()
        raise ValueError(f"box is {worst}; expected top < bottom and left < right")
    middle = (box[:, :2] + box[:, 2:]) / 2
    return Items(label, _centred(middle, shape), extent, extent.prod(dim=1).sqrt(), box)


def items_from_masks(label: Tensor, mask: Tensor) -> Items:
    """Masks ``(n, height, width)`` and labels ``(n,)``: mean of their pixels, and how they spread.

    Entries of label 0 are left out, empty or not.

    ``size = sqrt(6 mean |p - centre|^2)``, the side of the square that spreads as far: it does not
    change under any rotation. ``box`` is the smallest around the pixels. Raises ``ValueError`` for
    other shapes and empty masks.
    """
    if mask.ndim != 3 or label.shape != mask.shape[:1] or mask.dtype != torch.bool:
        found = f"{mask.dtype} {tuple(mask.shape)}"
        raise ValueError(f"mask is {found}; expected bool (n, height, width) for n labels")
    empty = (label > 0) & ~mask.flatten(1).any(dim=1)
    if bool(empty.any()):
        first = int(empty.int().argmax())
        raise ValueError(
            f"mask {first}, of label {int(label[first])}, is empty; expected a pixel at least"
        )
    label, mask = label[label > 0], mask[label > 0]
    height, width = mask.shape[1:]
    count = mask.sum(dim=(1, 2)).double()
    weight = mask.double() / count[:, None, None]
    rows, columns = (torch.arange(n, dtype=torch.float64) + 0.5 for n in (height, width))
    down, across = weight.sum(dim=2), weight.sum(dim=1)
    middle = torch.stack([down @ rows, across @ columns], dim=1)
    spread = down @ rows.square() + across @ columns.square() - middle.square().sum(dim=1)
    # 1 / 6: each pixel is a square that has a spread of its own.
    size = (6 * (spread.clamp_min(0) + 1 / 6)).sqrt()
    sides = [_ends(mask.any(dim=2)), _ends(mask.any(dim=1))]
    box = torch.stack([sides[0][0], sides[1][0], sides[0][1], sides[1][1]], dim=1).double()
    extent = (box[:, 2:] - box[:, :2]).flip(1)
    return Items(label, _centred(middle, (height, width)), extent, size, box)


def places(height: int, width: int, stride: int) -> Tensor:
    """Where the pixels of an output are: ``(2, h, w)``, x and y from the middle, image pixels."""
    rows, columns = (
        (torch.arange(n, dtype=torch.float64) - (n - 1) / 2) * stride for n in (height, width)
    )
    return torch.stack([columns.expand(height, -1), -rows[:, None].expand(-1, width)])


def assign(items: Items, shape: tuple[int, int], stride: int, kind: str) -> Targets:
    """Which thing each pixel of an output of ``shape`` is to find.

    A pixel is a thing's where it lies in the middle half of its box (``kind`` ``box``), or within a
    quarter of its size of its centre (``mask``), but at least three quarters of a ``stride``, so
    that every thing has a pixel; of several the nearest. In the rest of the box or disc it is of
    no account. The rule turns with the image.
    """
    place = places(*shape, stride)
    offset = items.centre[:, :, None, None] - place
    near = offset.square().sum(dim=1).sqrt()
    if kind == "box":
        half = items.extent[:, :, None, None] / 2
        within = (offset.abs() <= half).all(dim=1)
        central = (offset.abs() <= (_CENTRAL * half).clamp_min(0.75 * stride)).all(dim=1)
    else:
        radius = items.size[:, None, None] / 2
        within = near <= radius
        central = near <= (_CENTRAL * radius).clamp_min(0.75 * stride)
    if len(items.label) == 0:
        nothing = torch.zeros(shape, dtype=torch.int64)
        return Targets(nothing, nothing - 1, torch.zeros(2, *shape, dtype=torch.float64))
    item = torch.where(central, near, torch.inf).argmin(dim=0)
    found = central.any(dim=0)
    state = torch.where(found, 1, torch.where(within.any(dim=0), -1, 0))
    there = item.expand(1, 2, *shape)
    chosen = offset.gather(0, there)[0]
    return Targets(state, torch.where(found, item, -1), torch.where(found, chosen, 0.0))


def _centred(middle: Tensor, shape: tuple[int, int]) -> Tensor:
    """``(n, 2)`` rows and columns -> x and y from the middle of the image."""
    return torch.stack([middle[:, 1] - shape[1] / 2, shape[0] / 2 - middle[:, 0]], dim=1)


def _ends(there: Tensor) -> tuple[Tensor, Tensor]:
    """First place that is True of each row, and the one behind the last."""
    numbers = torch.arange(there.shape[1])
    first = torch.where(there, numbers, there.shape[1]).amin(dim=1)
    return first, torch.where(there, numbers, -1).amax(dim=1) + 1
