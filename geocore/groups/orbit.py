"""Orbits of batches: all images of every sample under a group, and training on all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from geocore.testing import Group

__all__ = ["full_orbit", "orbit"]


def orbit(group: Group, x: Tensor) -> Tensor:
    """``[g x for g in G]``, the identity first: ``(order, *x.shape)``.

    ``group`` iterates over its elements and acts on batches, as ``OnImages`` does on images,
    ``geocore.healpix.GridSymmetries`` and ``QuarterTurns`` on HEALPix maps, and
    ``SampledRotations`` on functions on the sphere. Raises ``ValueError`` for a group without
    elements, an action that changes the shape, and a first element that is not the identity.
    """
    images = [group.act(element, x) for element in group]
    if not images:
        raise ValueError("group has no elements; expected at least one")
    for image in images:
        if image.shape != x.shape:
            found, expected = tuple(image.shape), tuple(x.shape)
            raise ValueError(f"g x has shape {found}; expected {expected} as x has")
    if not torch.equal(images[0].nan_to_num(), x.nan_to_num()):
        raise ValueError("group has a first element that moves x; expected the identity first")
    return torch.stack(images)


def full_orbit(
    group: Group,
    inputs: Tensor,
    targets: Tensor,
    act_out: Callable[[Any, Tensor], Tensor] | Literal["invariant"] = "invariant",
) -> tuple[Tensor, Tensor]:
    """``{(g x, rho(g) y)}``: full-orbit augmentation, every sample under every element.

    A loss summed over these is the same for ``f`` and ``g^-1 f g``, so that training on them gives
    predictions that are equivariant at every step in the mean over initialisations, if the action
    leaves the law of these alone.

    ``inputs (n, ...)`` and ``targets (n, ...)`` become ``(order * n, ...)`` each, element by
    element: sample ``i`` under element number ``k`` is entry ``k n + i``, and the first ``n`` are
    the batch itself. ``act_out(g, y)`` is the action on a batch of targets; ``"invariant"`` repeats
    them.

    Raises ``ValueError`` as ``orbit`` does, and for other numbers of inputs and targets. Source:
    Gerken and Kessel, arXiv:2403.03103.
    """
    if inputs.ndim == 0 or targets.ndim == 0 or len(inputs) != len(targets):
        found = f"{tuple(inputs.shape)} and {tuple(targets.shape)}"
        raise ValueError(f"inputs and targets have shapes {found}; expected (n, ...) of one n")
    moved = orbit(group, inputs)
    if act_out == "invariant":
        followed = targets.expand(len(moved), *targets.shape)
    elif callable(act_out):
        followed = torch.stack([act_out(element, targets) for element in group])
    else:
        raise ValueError(f"act_out is {act_out!r}; expected 'invariant' or an action")
    return moved.flatten(0, 1), followed.flatten(0, 1)
