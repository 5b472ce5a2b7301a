r"""Group convolutions of infinitely wide networks on the plane, in the reduced representation.

With :math:`\psi` a filter on a window S and g the elements of C_n or D_n, features are functions
:math:`h(g, x)`; the kernels of two images couple any two elements and positions,

.. math::
    K^{lift}_{g,g'}(x, x') &= \frac{s^2}{C |S|} \sum_{c, t} f_c(x + g t)\, f'_c(x' + g' t) + b^2, \\
    K_{g,g'}(x, x') &\leftarrow \frac{s^2}{|G| |S|} \sum_{u, t}
        K_{gu, g'u}(x + g t, x' + g' t) + b^2.

Windows are squares, so that quarter turns and mirrors H of G keep them. Then, exactly and through
every layer, :math:`K_{gh,g'h} = K_{g,g'}` for h in H: only the pairs (t, g') with t from each coset
are stored, 1 of n for C_4 and 1 of 8 for D_4; and the sum over u is over equal terms. In the
coordinates of the moved image :math:`g^{-1} f`, the entry (t, g') is then the plain kernel of
:math:`t^{-1} f` and :math:`g'^{-1} f'`: everything the plain kernels are fast at, serves here.

Elements that are no symmetry of the pixels (C_8) move images by bilinear interpolation: the network
is the plain one, with shared weights, on each moved image. Source: arXiv:2406.06504, section 4;
unlike the code published with it, Theta starts from 0, so that the lift gives Theta = K.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor

from geocore.groups.finite import PlanarGroup
from geocore.groups.planar_action import moved
from geocore.kernels.convolution import Convolution
from geocore.kernels.layers import Form, Layer
from geocore.kernels.state import KernelState
from geocore.kernels.windows import padding_amounts

__all__ = ["GroupConvolution", "GroupPool", "LiftingConvolution", "moved_copies", "permutes_pixels"]


def permutes_pixels(group: PlanarGroup) -> bool:
    """Whether every element maps the grid onto itself: C_n and D_n for n = 1, 2, 4."""
    return 4 % group.n == 0


def moved_copies(group: PlanarGroup, images: Tensor, elements: Sequence[int]) -> Tensor:
    """``g^-1 f`` for each of the elements: ``(batch, ...)`` -> ``(batch, elements, ...)``."""
    return torch.stack([moved(group, group.inverse(g), images) for g in elements], dim=1)


@dataclass(frozen=True)
class _OnGroup(Convolution):
    """A convolution whose windows the group keeps. Raises ``ValueError`` for even windows."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.taps[0] != self.taps[1] or self.taps[0] % 2 == 0:
            raise ValueError(f"kernel_size is {self.kernel_size}; expected an odd number")

    def placed(self, form: Form) -> Form:
        if form.size is not None and form.group is not None:
            height, width = form.size
            amounts = padding_amounts(height, self.taps[0], self.stride, self.padding)
            left_over = (height + sum(amounts) - self.taps[0]) % self.stride
            if height != width or amounts[0] != amounts[1] or left_over:
                raise ValueError(
                    f"{self.name} with stride {self.stride} on maps {form.size}; expected square "
                    f"maps whose windows {form.group.name} maps onto each other"
                )
        return super().placed(form)


@dataclass(frozen=True)
class LiftingConvolution(_OnGroup):
    """Images to functions of group and place: the first layer, once.

    ``storage="full"`` keeps every pair of elements, the textbook's way: ``order`` times the numbers
    and the same kernels, where the group permutes pixels.
    """

    group: PlanarGroup = field(default_factory=lambda: PlanarGroup(4), kw_only=True, repr=False)
    storage: Literal["reduced", "full"] = field(default="reduced", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.storage not in ("reduced", "full"):
            raise ValueError(f"storage is {self.storage!r}; expected 'reduced' or 'full'")

    @property
    def cosets(self) -> int:
        """``T``: elements ``0 .. T - 1`` are turns, one of each coset of H."""
        if self.storage == "full":
            return self.group.order
        return self.group.n // math.gcd(self.group.n, 4)

    def plan(self, form: Form) -> Form:
        if form.group is not None:
            raise ValueError(f"images are lifted to {form.group.name} already; expected once")
        return self.placed(replace(form, group=self.group))


@dataclass(frozen=True)
class GroupConvolution(_OnGroup):
    """Functions of group and place to the same; ``rotation_support``: filters reach all elements.

    Without it a filter sees the features of its own element alone. Either has the kernel above: the
    terms of the sum over u are equal. With it elements must permute pixels: else ``ValueError``.
    """

    rotation_support: bool = field(default=True, kw_only=True)

    def plan(self, form: Form) -> Form:
        if form.group is None:
            raise ValueError("GroupConvolution is given images; expected LiftingConvolution before")
        if self.rotation_support and not permutes_pixels(form.group):
            raise ValueError(
                f"rotation_support with {form.group.name}, which does not permute pixels; "
                "expected rotation_support=False, or n = 1, 2, 4"
            )
        return self.placed(form)


@dataclass(frozen=True)
class GroupPool(Layer):
    """``h(x) <- mean_g h(g, x)``: ``K <- mean_{g, g'} K_{g, g'}``, and Theta alike.

    Of maps, each element's are turned back from the moved image's coordinates first, which asks for
    a group that permutes pixels; of vectors (positions pooled before), any group will do.
    """

    mixes_positions = True

    def plan(self, form: Form) -> Form:
        if form.group is None:
            raise ValueError("GroupPool is given images; expected LiftingConvolution before")
        if form.size is not None and not permutes_pixels(form.group):
            raise ValueError(
                f"GroupPool of maps over {form.group.name}, which does not permute pixels; "
                "expected GlobalAveragePool before it, or n = 1, 2, 4"
            )
        return replace(form, group=None)

    def forward(self, state: KernelState) -> KernelState:
        state = state.as_pairs()
        pooled = state.mapped(lambda k: self._mean(state, k), lambda v: v)
        return pooled.but(group=None).pooled()

    def _mean(self, state: KernelState, k: Tensor) -> Tensor:
        group = state.group
        if group is None:
            raise RuntimeError("the plan of the network has let GroupPool stand behind another")
        if state.layout == "flat":
            # (B, n1 T, n2 G): each sample's copies stand together.
            k = k.unflatten(2, (-1, state.right.each)).unflatten(1, (-1, state.left.each))
            return k.mean(dim=(2, 4))
        # (B, n1 T, h, w, n2 G, h', w'), each element's side turned by it.
        k = k.unflatten(4, (-1, state.right.each)).unflatten(1, (-1, state.left.each))
        k = torch.as_tensor(sum(moved(group, g, k[..., g, :, :]) for g in group)) / group.order
        k = k.movedim((3, 4), (-2, -1))  # (B, n1, T, n2, h', w', h, w)
        each = range(k.shape[2])
        k = torch.as_tensor(sum(moved(group, t, k[:, :, t]) for t in each)) / len(each)
        return k.movedim((-2, -1), (2, 3)).contiguous()
