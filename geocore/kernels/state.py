"""What flows through an infinitely wide network: covariances of pairs of inputs, and where.

A pair of inputs ``(x, x')`` may come in copies, ``T`` of ``x`` and ``G`` of ``x'`` (1 and 1 but for
group networks, where a copy is an input moved by the group). Of each pair of copies the state holds
the NNGP ``K`` and the tangent kernel ``Theta`` in one of four layouts:

    flat       ``(pairs, T, G)``                          no positions
    diagonal   ``(pairs, T, G, h, w)``                    the same position p in both
    pairs      ``(pairs, T, G, h, h', w, w')``            all positions p = (h, w), q = (h', w')
    displaced  ``(pairs, T, G, h, w, h' - h, w' - w)``    all, by p and q - p on the torus

and of each copy the variances ``K(x, x)`` at each position, ``(pairs, T, h, w)`` and
``(pairs, G, h, w)``: an activation needs no more. Copies ``T`` are the first of ``G``.

In the last layout a circular convolution leaves ``q - p`` alone: it sums along ``h`` and along
``w``, all displacements in one stretch of memory, and different ones meet when they are pooled.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from geocore.groups.finite import PlanarGroup
from geocore.kernels.dual import Variances

__all__ = ["KernelState", "Layout", "PooledVariances", "displaced", "left_displaced"]

Layout = Literal["flat", "diagonal", "pairs", "displaced"]


@dataclass
class PooledVariances:
    """The variances behind each pooling, which mixes positions and so needs more than variances.

    They are read off the network's kernel of an input with itself (``own``), which comes first and
    notes them in order; the kernel of two inputs then takes them, in that order, from ``left`` and
    ``right``. With ``wanted`` false nothing behind a pooling asks for variances: there are none.
    """

    own: bool = False
    wanted: bool = True
    left: list[Tensor] = field(default_factory=list)
    right: list[Tensor] = field(default_factory=list)
    taken: int = 0

    def next(self, state: KernelState) -> KernelState:
        """The pooled ``state`` with its variances."""
        if self.own:
            own = state.diagonal()
            self.left.append(own)
            return replace(state, left=own, right=own)
        if not self.wanted:
            return replace(state, left=None, right=None)
        left, right = self.left[self.taken], self.right[self.taken]
        self.taken += 1
        return replace(state, left=left[:, : state.nngp.shape[1]], right=right)


@dataclass(frozen=True)
class KernelState:
    """``K`` and ``Theta`` of pairs of inputs in one layout; see the module's text.

    ``ntk`` is ``None`` as long as it is 0: before the first weights. ``left`` and ``right`` are
    ``None`` where nothing needs them any more. Tensors are shared between states: a layer makes
    new ones. ``group`` is that of the copies. ``rows`` are the first and the count of the
    displacements ``h' - h`` that are held, ``None`` for all.
    """

    nngp: Tensor
    ntk: Tensor | None
    left: Tensor | None
    right: Tensor | None
    layout: Layout
    pooled: PooledVariances
    group: PlanarGroup | None = None
    rows: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the maps."""
        shape = self.nngp.shape
        if self.layout == "pairs":
            return shape[3], shape[5]
        return shape[3], shape[4]

    @property
    def variances(self) -> Variances:
        """Both variances and how they broadcast against the covariances."""
        if self.left is None or self.right is None:
            raise RuntimeError("the plan of the network has dropped variances that a layer needs")
        if self.layout == "displaced":
            return Variances(
                self.left, self.right, left_displaced, partial(displaced, rows=self.rows)
            )
        views = partial(_left, self.layout), partial(_right, self.layout)
        return Variances(self.left, self.right, *views)

    def as_pairs(self) -> KernelState:
        """The same covariances in the layout ``pairs``, of ``displaced`` ones."""
        if self.layout != "displaced":
            return self
        ntk = None if self.ntk is None else _to_pairs(self.ntk)
        return replace(self, nngp=_to_pairs(self.nngp), ntk=ntk, layout="pairs")

    def diagonal(self) -> Tensor:
        """``K`` of each copy with itself, the same position in both: ``(pairs, T, h, w)``.

        For states of inputs with themselves, whose copies are the same on both sides.
        """
        same = self.nngp.diagonal(dim1=1, dim2=2).movedim(-1, 1)
        if self.layout == "displaced":
            return same[..., 0, 0].contiguous()
        if self.layout == "pairs":
            same = same.diagonal(dim1=2, dim2=3).diagonal(dim1=2, dim2=3)
        return same.contiguous()


def _left(layout: Layout, small: Tensor) -> Tensor:
    """``(pairs, T, h, w)`` along the axes of the covariance."""
    if layout in ("flat", "diagonal"):
        return small[:, :, None]
    return small[:, :, None, :, None, :, None]


def left_displaced(small: Tensor) -> Tensor:
    """``(pairs, T, h, w)`` along ``(pairs, T, G, h, w, dh, dw)``: a view."""
    return small[:, :, None, :, :, None, None]


def _right(layout: Layout, small: Tensor) -> Tensor:
    """``(pairs, G, h', w')`` along the axes of the covariance."""
    if layout in ("flat", "diagonal"):
        return small[:, None]
    return small[:, None, :, None, :, None, :]


def displaced(small: Tensor, rows: tuple[int, int] | None = None) -> Tensor:
    """``(pairs, G, h', w')`` at ``q = p + d``: a view of the map laid twice along both axes.

    ``rows`` are the first and the count of the displacements along ``h``, all by default.
    """
    height, width = small.shape[-2:]
    twice = torch.cat([small, small], dim=-1)
    twice = torch.cat([twice, twice], dim=-2).contiguous()
    pairs, copies, row = twice.stride(0), twice.stride(1), twice.stride(2)
    shape = (small.shape[0], 1, small.shape[1], height, width, height, width)
    every = twice.as_strided(shape, (pairs, 0, copies, row, 1, row, 1))
    return every if rows is None else every.narrow(5, *rows)


def _to_pairs(k: Tensor) -> Tensor:
    height, width = k.shape[3], k.shape[4]
    h, w = torch.arange(height, device=k.device), torch.arange(width, device=k.device)
    dh = (h[None, :] - h[:, None]) % height  # [h, h']
    dw = (w[None, :] - w[:, None]) % width
    k = k.transpose(4, 5)[:, :, :, h[:, None], dh]  # (..., h, h', w, dw)
    return k[..., w[:, None], dw]
