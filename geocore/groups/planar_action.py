"""How a finite group of the plane acts on images and on functions of image and group."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from geocore.groups.finite import PlanarGroup

__all__ = ["OnGroupMaps", "OnImages", "moved"]


def moved(group: PlanarGroup, element: int, images: Tensor) -> Tensor:
    """``(g f)(p) = f(g^-1 p)`` about the centre of square images ``(..., size, size)``.

    Exact, a permutation of pixels, for quarter turns and reflections; else bilinear, 0 outside.
    Raises ``ValueError`` for images that are not square.
    """
    if images.ndim < 2 or images.shape[-1] != images.shape[-2]:
        raise ValueError(f"images has shape {tuple(images.shape)}; expected (..., size, size)")
    r, s = group.parts(element)
    if 4 * r % group.n == 0:
        turned = images.flip(-1) if s else images
        return turned.rot90(4 * r // group.n, (-2, -1))
    # affine_grid's y points down: the same matrix with y mirrored on both sides. The grid says
    # where each new pixel comes from: the inverse, which is the transpose.
    mirror = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64)
    source = (group.matrix(element).T * mirror).to(images)
    flat = images.reshape(1, -1, *images.shape[-2:])
    theta = torch.cat([source, source.new_zeros(2, 1)], dim=1)[None]
    grid = F.affine_grid(theta, list(flat.shape), align_corners=False)
    return F.grid_sample(flat, grid, align_corners=False).reshape(images.shape)


class OnImages:
    """The action on ``(..., size, size)``, as ``geocore.testing.assert_equivariant`` takes it."""

    def __init__(self, group: PlanarGroup) -> None:
        self.group, self.name = group, f"{group.name} on images"

    def __iter__(self) -> Iterator[int]:
        return iter(self.group)

    def act(self, element: int, x: Tensor) -> Tensor:
        """``(g f)(p) = f(g^-1 p)``."""
        return moved(self.group, element, x)


class OnGroupMaps:
    """The action on ``(..., order, size, size)``: ``(g f)(h, p) = f(g^-1 h, g^-1 p)``."""

    def __init__(self, group: PlanarGroup) -> None:
        self.group, self.name = group, f"{group.name} on functions of the group"

    def __iter__(self) -> Iterator[int]:
        return iter(self.group)

    def act(self, element: int, x: Tensor) -> Tensor:
        """Moves the pixels and permutes the group's axis, the third from the last."""
        shifted = self.group.shifted(element).to(x.device)
        return moved(self.group, element, x.index_select(-3, shifted))
