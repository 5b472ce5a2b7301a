"""What flows through an infinitely wide network: covariances of pairs of inputs, and where.

A block of pairs has ``T`` inputs on its left and ``G`` on its right: samples, and of each sample
its copies (1 but for group networks, where a copy is the sample moved by an element). Of each of
the ``T x G`` pairs the state holds the NNGP ``K`` and the tangent kernel ``Theta``, in one of four
layouts; a first axis counts blocks that are worked on together:

    flat       ``(blocks, T, G)``                          no positions
    diagonal   ``(blocks, T, G, h, w)``                    the same position p in both; memory
                                                           holds all pairs of a position together
    pairs      ``(blocks, T, h, w, G, h', w')``            all positions p = (h, w), q = (h', w')
    displaced  ``(blocks, T, h, w, G, h' - h, w' - w)``    all, by p and q - p on the torus

In the last layout a circular convolution leaves ``q - p`` alone: it sums along ``h`` and along
``w``, all of ``(G, q - p)`` in one stretch of memory; different displacements meet when they are
pooled.

Activations ask for variances ``K(x, x)`` at each position. They are those of single inputs: they
are computed before, for all inputs, by the same layers (``own``), and noted in the order in which
layers ask for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from geocore.groups.finite import PlanarGroup
from geocore.kernels.dual import Variances

__all__ = [
    "KernelState",
    "Layout",
    "Side",
    "by_position",
    "displaced",
    "displaced_products",
    "products",
]

Layout = Literal["flat", "diagonal", "pairs", "displaced"]
Rows = tuple[int, int]

_RANGE = 2.0**20  # how far the scale may go from 1: what is held stays near what is meant


@dataclass(frozen=True)
class Side:
    """Inputs of one side, ``(n, copies, channels, ...)``, and their notes, ``(n, copies, h, w)``.

    A note is the variance that a layer asks for, over the state's ``scale``. Behind a pooling over
    the group there is one copy.
    """

    inputs: Tensor
    notes: list[Tensor]
    each: int = 1
    """Copies of a sample among the inputs; they stand together."""
    laid: dict[tuple[str, int], Tensor] = field(default_factory=dict)
    """What ``displaced`` has laid out, for the next block with the same side."""

    def some(self, which: slice, copies: int) -> Side:
        """Of some samples the first ``copies`` alone."""
        return Side(self.inputs[which, :copies], [n[which, :copies] for n in self.notes], copies)

    def block(self, which: slice, copies: int) -> Side:
        """The same as one side of one block, ``(1, samples copies, ...)``."""
        first, count = which.start, which.stop - which.start
        one = []
        for part in (self.inputs, *self.notes):  # calls of few steps: small kernels are many
            some = part.narrow(0, first, count)
            some = some if copies == part.shape[1] else some[:, :copies]
            one.append(some.flatten(0, 1).unsqueeze(0))
        return Side(one[0], one[1:], copies)

    def displaced(self, kind: str, place: int, small: Tensor, rows: Rows) -> Tensor:
        """``displaced(small, rows)``; one with all rows is kept under its name."""
        if rows[1] < small.shape[-2]:
            return displaced(small, rows)
        if (kind, place) not in self.laid:
            self.laid[kind, place] = displaced(small)
        return self.laid[kind, place]


@dataclass(frozen=True)
class KernelState:
    """``K`` and ``Theta`` of blocks of pairs in one layout; see the module's text.

    All of ``K``, ``Theta`` and the variances are ``scale`` times what is held: factors that a layer
    brings need no pass over the entries. ``ntk`` is ``None`` as long as it is 0: before the first
    weights. Tensors are shared between states: a layer makes new ones.

    With ``own`` the state is of inputs with themselves, and notes their variances
    ``(n, copies, h, w)`` as layers ask for them; ``nngp`` is ``None`` where nothing else is wanted.
    ``group`` is that of the copies. ``rows`` are the first and the count of the displacements
    ``h' - h`` that are held.
    """

    nngp: Tensor | None
    ntk: Tensor | None
    layout: Layout
    left: Side
    right: Side
    scale: float = 1.0
    taken: int = 0
    own: Tensor | None = None
    noted: list[Tensor] | None = None
    group: PlanarGroup | None = None
    rows: Rows = (0, 0)

    def but(self, **changes: Any) -> KernelState:
        """As ``dataclasses.replace``, in a fifth of the time: small kernels are many steps."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, **changes)
        return other

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the maps."""
        held = self.own if self.nngp is None else self.nngp
        if held is None:
            raise RuntimeError("the state holds nothing; expected covariances or variances")
        first = 3 if self.layout == "diagonal" and held is self.nngp else 2
        return held.shape[first], held.shape[first + 1]

    def ask(self) -> tuple[Variances | None, KernelState]:
        """The variances that are next, over ``scale``, and the state that will ask for those after.

        ``None`` where there are no covariances that need them.
        """
        place = self.taken
        after = self.but(taken=place + 1)
        if self.noted is None:
            left, right = self.left.notes[place], self.right.notes[place]
        else:
            if self.own is None:
                raise RuntimeError("the plan of the network has dropped variances that it needs")
            self.noted.append(self.own)
            left = right = self.own
        if self.nngp is None:
            return None, after
        spread: Callable[[Tensor], Tensor]
        if self.layout == "displaced":
            spread = partial(displaced, rows=self.rows)
            whole = self.right.displaced("note", place, right, self.rows)
            return Variances(left, right, _left, spread, whole), after
        if self.layout == "pairs":
            return Variances(left, right, _left, _right), after
        return Variances(left, right, lambda a: a[:, :, None], lambda b: b[:, None]), after

    def mapped(
        self, covariance: Callable[[Tensor], Tensor], variance: Callable[[Tensor], Tensor]
    ) -> KernelState:
        """The state with a function of each covariance, and one of each variance."""
        nngp = None if self.nngp is None else covariance(self.nngp)
        ntk = nngp if self.ntk is self.nngp else None if self.ntk is None else covariance(self.ntk)
        own = None if self.own is None else variance(self.own)
        return self.but(nngp=nngp, ntk=ntk, own=own)

    def weighted(self, square: float, shift: float) -> KernelState:
        """``K <- s^2 K + b^2`` and ``Theta <- K_new + s^2 Theta``: weights and biases."""
        scale = self.scale * square
        state = self if _within(scale) else self.scaled(scale)
        scale = scale if state is self else 1.0
        nngp, ntk, own = state.nngp, state.ntk, state.own
        if shift:
            nngp = None if nngp is None else nngp + shift / scale
            own = None if own is None else own + shift / scale
        if nngp is not None:
            ntk = nngp if ntk is None else ntk + nngp
        return state.but(nngp=nngp, ntk=ntk, own=own, scale=scale)

    def scaled(self, scale: float) -> KernelState:
        """With another ``scale``: the kernels change by it. One that is far from 1 is applied."""
        if _within(scale):
            return self.but(scale=scale)
        return self.but(scale=scale).applied()

    def applied(self) -> KernelState:
        """The same kernels, with ``scale`` 1."""
        if self.scale == 1:
            return self
        return self.mapped(*[lambda k: k * self.scale] * 2).but(scale=1.0)

    def pooled(self) -> KernelState:
        """Behind a pooling, which mixes positions, variances are read off the covariances."""
        if self.noted is None:
            return self
        return self.but(own=None if self.nngp is None else self.diagonal())

    def as_pairs(self) -> KernelState:
        """The same covariances in the layout ``pairs``, of ``displaced`` ones."""
        if self.layout != "displaced":
            return self
        return self.mapped(_to_pairs, lambda v: v).but(layout="pairs")

    def diagonal(self) -> Tensor:
        """``K`` of each copy with itself, the same position in both: ``(blocks, T, h, w)``.

        For states of inputs with themselves, whose copies are the same on both sides.
        """
        if self.nngp is None:
            raise RuntimeError("the state holds no covariances; expected some")
        if self.layout in ("flat", "diagonal"):
            return self.nngp.diagonal(dim1=1, dim2=2).movedim(-1, 1).contiguous()
        same = self.nngp.diagonal(dim1=1, dim2=4)  # (blocks, h, w, h', w', T)
        if self.layout == "displaced":
            return same[:, :, :, 0, 0].movedim(-1, 1).contiguous()
        same = same.diagonal(dim1=1, dim2=3).diagonal(dim1=1, dim2=2)  # (blocks, T, h, w)
        return same.contiguous()


def _within(scale: float) -> bool:
    return 1 / _RANGE < scale < _RANGE


def _left(small: Tensor) -> Tensor:
    """``(blocks, T, h, w)`` along ``(blocks, T, h, w, G, ., .)``."""
    return small[..., None, None, None]


def _right(small: Tensor) -> Tensor:
    """``(blocks, G, h', w')`` along ``(blocks, T, h, w, G, h', w')``."""
    return small[:, None, None, None]


def displaced(small: Tensor, rows: Rows | None = None) -> Tensor:
    """``(blocks, G, h', w')`` at ``q = p + d``: ``(blocks, 1, h, w, G, dh, dw)``.

    ``rows`` are the first and the count of the displacements along ``h``, all by default.
    """
    height, width = small.shape[-2:]
    small = small.contiguous()
    twice = torch.cat([small, small], dim=-1)
    twice = torch.cat([twice, twice], dim=-2)
    blocks, copies, row, _ = twice.stride()
    shape = (small.shape[0], 1, height, width, small.shape[1], height, width)
    every = twice.as_strided(shape, (blocks, 0, row, 1, copies, row, 1))
    return (every if rows is None else every.narrow(5, *rows)).contiguous()


def by_position(inputs: Tensor) -> Tensor:
    """``(n, copies, channels, h, w)`` -> ``(channels, h, w, n, copies)``, as ``map_sum`` likes."""
    return inputs.permute(2, 3, 4, 0, 1).contiguous()


def products(left: Tensor, right: Tensor) -> Tensor:
    """``x(p) . x'(q)`` in the layout ``pairs``."""
    blocks, t, _, h, w = left.shape
    # (B, T h w, C) (B, C, G h w)
    p = left.flatten(3).transpose(2, 3).flatten(1, 2)
    q = right.transpose(1, 2).flatten(2)
    return (p @ q).view(blocks, t, h, w, -1, h, w)


def displaced_products(left: Side, right: Side, rows: tuple[int, int]) -> Tensor:
    """The same in the layout ``displaced``, channel by channel."""
    nngp = left.inputs.new_empty(0)
    for c in range(left.inputs.shape[2]):
        here = left.inputs[:, :, c, :, :, None, None, None]
        there = right.displaced("input", c, right.inputs[:, :, c], rows)
        nngp = nngp.addcmul_(here, there) if c else here * there
    return nngp


def _to_pairs(k: Tensor) -> Tensor:
    height, width = k.shape[2], k.shape[3]
    h, w = torch.arange(height, device=k.device), torch.arange(width, device=k.device)
    dh = (h[None, :] - h[:, None]) % height  # [h, h']
    dw = (w[None, :] - w[:, None]) % width
    k = k.permute(0, 1, 4, 2, 5, 3, 6)[:, :, :, h[:, None], dh]  # (..., h, h', w, dw)
    return k[..., w[:, None], dw].permute(0, 1, 3, 5, 2, 4, 6).contiguous()
