r"""The kernels of a group network with every entry stored: the readable reference.

:math:`K_{g,g'}(x, x')` for all pairs of elements and of positions, each formula of
``geocore.kernels.group_layers`` as it is written there: no symmetry is used, and no change of
coordinates. ``order`` times the numbers and more than that of the work; for tests and benchmarks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from geocore.groups.finite import PlanarGroup
from geocore.kernels.composed import Kernels
from geocore.kernels.dual import Variances
from geocore.kernels.group_layers import (
    GroupConvolution,
    GroupPool,
    LiftingConvolution,
    permutes_pixels,
)
from geocore.kernels.layers import Dense, Elementwise, Flatten, GlobalAveragePool, Layer

__all__ = ["full_storage_kernel"]


@dataclass(frozen=True)
class _Everything:
    """``K`` and ``Theta (n1, n2, G, G, P, P)``; variances ``(n, G, P)``, while they are known."""

    nngp: Tensor
    ntk: Tensor
    left: Tensor | None
    right: Tensor | None


def full_storage_kernel(layers: Iterable[Layer], x1: Tensor, x2: Tensor) -> Kernels:
    """``K`` and ``Theta (n1, n2)`` of a lift, group convolutions, activations, pools and Dense.

    Stride 1, ``same`` or ``circular``, elements that permute pixels, no activation behind a pool:
    else ``ValueError``. ``x1 (n1, channels, size, size)``, ``x2 (n2, channels, size, size)``.
    """
    lifting, *rest = layers
    if not isinstance(lifting, LiftingConvolution) or not permutes_pixels(lifting.group):
        raise ValueError(f"the first layer is {lifting}; expected a lift that permutes pixels")
    state = _lifted(lifting, x1, x2)
    for layer in rest:
        state = _step(layer, lifting.group, state, x1.shape[-1])
    return Kernels(state.nngp, state.ntk)


def _lifted(layer: LiftingConvolution, x1: Tensor, x2: Tensor) -> _Everything:
    group, channels, size = layer.group, x1.shape[1], x1.shape[-1]
    scale, shift = layer.weight_std**2 / (channels * layer.taps[0] ** 2), layer.bias_std**2
    f1, f2 = _with_outside(x1.flatten(2)), _with_outside(x2.flatten(2))
    near = {g: _neighbours(group, g, size, layer) for g in group}
    blocks = []
    for g in group:
        row = []
        for other in group:
            terms = (
                torch.einsum("icp,jcq->ijpq", f1[..., near[g][t]], f2[..., near[other][t]])
                for t in range(layer.taps[0] ** 2)
            )
            row.append(scale * torch.as_tensor(sum(terms)) + shift)
        blocks.append(torch.stack(row, dim=2))
    nngp = torch.stack(blocks, dim=2)
    own = []
    for f in (f1, f2):
        squares = f.square().sum(dim=1)
        each = [sum(squares[..., near[g][t]] for t in range(layer.taps[0] ** 2)) for g in group]
        own.append(scale * torch.stack([torch.as_tensor(v) for v in each], dim=1) + shift)
    # Theta starts from 0: behind the first weights it is K, not 2 K.
    return _Everything(nngp, nngp, own[0], own[1])


def _step(layer: Layer, group: PlanarGroup, state: _Everything, size: int) -> _Everything:
    if isinstance(layer, GroupConvolution):
        return _convolved(layer, group, state, size)
    if isinstance(layer, Elementwise) and state.left is not None and state.right is not None:
        variances = Variances(
            state.left[:, None, :, None, :, None], state.right[None, :, None, :, None, :]
        )
        nngp, slope = layer.dual(state.nngp, variances)
        left, right = layer.variance(state.left), layer.variance(state.right)
        return _Everything(nngp, slope * state.ntk, left, right)
    if isinstance(layer, GroupPool):
        return _Everything(state.nngp.mean(dim=(2, 3)), state.ntk.mean(dim=(2, 3)), None, None)
    if isinstance(layer, GlobalAveragePool):
        return _Everything(state.nngp.mean(dim=(-2, -1)), state.ntk.mean(dim=(-2, -1)), None, None)
    if isinstance(layer, Flatten):
        nngp, ntk = (k.diagonal(dim1=-2, dim2=-1).mean(dim=-1) for k in (state.nngp, state.ntk))
        return _Everything(nngp, ntk, None, None)
    if isinstance(layer, Dense):
        nngp = layer.weight_std**2 * state.nngp + layer.bias_std**2
        return replace(state, nngp=nngp, ntk=nngp + layer.weight_std**2 * state.ntk)
    raise ValueError(f"{layer.name} has no full-storage form here")


def _convolved(
    layer: GroupConvolution, group: PlanarGroup, state: _Everything, size: int
) -> _Everything:
    """The mean over ``u`` and ``t`` of what stands at ``(g u, x + g t), (g' u, x' + g' t)``."""
    near = {g: _neighbours(group, g, size, layer) for g in group}
    within = list(group) if layer.rotation_support else [0]
    scale = layer.weight_std**2 / (len(within) * layer.taps[0] ** 2)
    shift = layer.bias_std**2

    def mean(k: Tensor) -> Tensor:
        found = torch.zeros_like(k)
        for g in group:
            for other in group:
                turned = [k[:, :, group.product(g, u), group.product(other, u)] for u in within]
                # The sum over u before that over t: neither position depends on u.
                over = _with_outside(_with_outside(torch.as_tensor(sum(turned))).mT).mT
                for here, there in zip(near[g], near[other], strict=True):
                    found[:, :, g, other] += over[..., here, :][..., there]
        return scale * found

    def variance(v: Tensor | None) -> Tensor | None:
        if v is None:
            return None
        each = []
        for g in group:
            over = _with_outside(torch.stack([v[:, group.product(g, u)] for u in within]).sum(0))
            each.append(torch.stack([over[..., here] for here in near[g]]).sum(0))
        return scale * torch.stack(each, dim=1) + shift

    nngp = mean(state.nngp) + shift
    left, right = variance(state.left), variance(state.right)
    return _Everything(nngp, nngp + mean(state.ntk), left, right)


def _with_outside(f: Tensor) -> Tensor:
    """A last place more, which holds 0: what stands outside of the image."""
    return torch.cat([f, torch.zeros_like(f[..., :1])], dim=-1)


def _neighbours(
    group: PlanarGroup, element: int, size: int, layer: LiftingConvolution | GroupConvolution
) -> list[Tensor]:
    """For each ``t`` of the window where ``x + g t`` stands for all ``x``; ``P`` is outside."""
    if layer.stride != 1 or layer.padding == "valid":
        raise ValueError(f"stride and padding are {layer.stride} and {layer.padding}; expected "
                         "1, and same or circular")  # fmt: skip
    matrix = group.matrix(element).round().long()  # x to the right, y up; rows go down
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    reach = layer.taps[0] // 2
    found = []
    for down in range(-reach, reach + 1):
        for across in range(-reach, reach + 1):
            right, up = (matrix @ torch.tensor([across, -down])).tolist()
            row, column = rows - up, columns + right
            if layer.padding == "circular":
                place = row % size * size + column % size
            else:
                outside = (row < 0) | (row >= size) | (column < 0) | (column >= size)
                place = torch.where(outside, size * size, row * size + column)
            found.append(place.flatten())
    return found
