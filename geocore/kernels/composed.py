"""Networks of infinite width, composed as one writes a network.

>>> import torch
>>> from geocore.kernels.composed import serial
>>> from geocore.kernels.convolution import Convolution
>>> from geocore.kernels.layers import Dense, GlobalAveragePool, Relu
>>> network = serial(Convolution(3, padding="circular"), Relu(), GlobalAveragePool(), Dense())
>>> nngp, ntk = network.kernel(torch.rand(5, 3, 8, 8))
>>> nngp.shape
torch.Size([5, 5])
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from geocore.kernels.convolution import Convolution
from geocore.kernels.group_layers import GroupPool, LiftingConvolution, moved_copies
from geocore.kernels.layers import Flatten, Form, GlobalAveragePool, Identity, Layer
from geocore.kernels.state import KernelState, Layout, PooledVariances, displaced, left_displaced

__all__ = ["InfiniteNetwork", "Kernels", "Residual", "serial"]

_TILE = 2**17  # entries of one covariance that are worked on at a time: they stay in the cache


class Kernels(NamedTuple):
    """The NNGP ``K`` and the tangent kernel ``Theta``, of equal shape."""

    nngp: Tensor
    ntk: Tensor


@dataclass(frozen=True)
class Residual(Layer):
    """``h <- branch(h) + shortcut(h)``: kernels and variances add.

    So they do because the branch ends with weights of its own, of mean 0: it must end with an
    affine layer, which a pooling may follow. ``shortcut`` is the identity, or a projection that
    ends with one too. Raises ``ValueError`` where shapes differ.
    """

    branch: tuple[Layer, ...]
    shortcut: tuple[Layer, ...] = (Identity(),)

    def __init__(self, *branch: Layer, shortcut: Iterable[Layer] = (Identity(),)) -> None:
        object.__setattr__(self, "branch", tuple(branch))
        object.__setattr__(self, "shortcut", tuple(shortcut))

    def plan(self, form: Form) -> Form:
        branch, shortcut = _planned(self.branch, form), _planned(self.shortcut, form)
        if not branch.gaussian:
            raise ValueError("the branch of Residual ends with no affine layer; expected one")
        if (branch.size, branch.group) != (shortcut.size, shortcut.group):
            raise ValueError(
                f"branch and shortcut of Residual give maps {branch.size} and {shortcut.size}; "
                "expected equal ones"
            )
        return replace(branch, gaussian=shortcut.gaussian)

    def forward(self, state: KernelState) -> KernelState:
        branch, shortcut = _run(self.branch, state), _run(self.shortcut, state)
        if branch.layout != shortcut.layout:
            branch, shortcut = branch.as_pairs(), shortcut.as_pairs()
        ntks = [ntk for ntk in (branch.ntk, shortcut.ntk) if ntk is not None]
        return replace(
            branch,
            nngp=branch.nngp + shortcut.nngp,
            ntk=ntks[0] if len(ntks) == 1 else ntks[0] + ntks[1],
            left=_sum(branch.left, shortcut.left),
            right=_sum(branch.right, shortcut.right),
        )


def serial(*layers: Layer) -> InfiniteNetwork:
    """The network that applies ``layers`` in order. Raises ``ValueError`` where two do not fit."""
    return InfiniteNetwork(layers)


class InfiniteNetwork:
    """A network of infinite width with one output, linear in its last weights.

    What each position must know of the others is decided here: where nothing pools, only equal
    positions of two inputs are ever computed, for the rest counts nowhere. Where convolutions are
    on the torus, covariances lie by displacement.
    """

    def __init__(self, layers: Iterable[Layer]) -> None:
        self.layers = _positions_first(tuple(layers))
        if not self.layers:
            raise ValueError("layers are none; expected at least one")
        flat = list(_leaves(self.layers))
        self.lifting = self.layers[0] if isinstance(self.layers[0], LiftingConvolution) else None
        if any(isinstance(layer, LiftingConvolution) for layer in flat[1:]):
            raise ValueError("LiftingConvolution stands inside the network; expected it first")
        mixing = [place for place, layer in enumerate(flat) if layer.mixes_positions]
        self.needs_pairs = bool(mixing)
        self.needs_own = bool(mixing) and any(l.needs_variances for l in flat[mixing[0] :])
        first = next((layer for layer in flat if isinstance(layer, Convolution)), None)
        self.displaced = first is not None and first.keeps_displacement
        # Up to here one displacement of two positions knows nothing of another.
        self._apart = next(
            (n for n, layer in enumerate(self.layers) if _couples(layer)), len(self.layers)
        )

    def kernel(self, x1: Tensor, x2: Tensor | None = None) -> Kernels:
        """``K(x_i, x'_j)`` and ``Theta(x_i, x'_j)``: both ``(n1, n2)``, in the inputs' dtype.

        ``x1 (n1, channels, height, width)`` or ``(n1, features)``, float32 or float64, and ``x2``
        of the same shape but for ``n2``. Without ``x2`` the kernel of ``x1`` with itself: one half
        is computed, and is the other. Memory is bounded whatever ``n1`` and ``n2``: pairs are taken
        a few at a time. Raises ``ValueError`` for inputs of different shapes or that the network
        does not take.
        """
        right = x1 if x2 is None else x2
        if x1.shape[1:] != right.shape[1:] or x1.dtype != right.dtype:
            found = f"{x1.dtype} {tuple(x1.shape)} and {right.dtype} {tuple(right.shape)}"
            raise ValueError(f"x1 and x2 are {found}; expected one dtype and shape of a sample")
        form = self._form(x1)
        own_left = self._own(x1)
        own_right = own_left if x2 is None else self._own(right)
        together = self._together(form)
        nngp, ntk = x1.new_zeros(2, len(x1), len(right))
        if self.lifting is None:
            # Samples take the place of copies: variances are those of samples, not of pairs.
            for i, j in _blocks(len(x1), len(right), together, half=x2 is None):
                pooled = PooledVariances(wanted=self.needs_own)
                pooled.left = [variance[i].transpose(0, 1) for variance in own_left]
                pooled.right = [variance[j].transpose(0, 1) for variance in own_right]
                state = self._run(x1[None, i], right[None, j], pooled)
                nngp[i, j], ntk[i, j] = state.nngp[0], _tangent(state)[0]
        else:
            copies, others = self._copies(x1, right)
            every = torch.ones(len(x1), len(right), dtype=torch.bool, device=x1.device)
            for some in (every.tril() if x2 is None else every).nonzero().split(together):
                i_, j_ = some.unbind(dim=1)
                pooled = PooledVariances(wanted=self.needs_own)
                pooled.left = [variance[i_] for variance in own_left]
                pooled.right = [variance[j_] for variance in own_right]
                state = self._run(copies[i_], others[j_], pooled)
                nngp[i_, j_], ntk[i_, j_] = state.nngp.flatten(), _tangent(state).flatten()
        if x2 is None:
            nngp, ntk = (k.tril() + k.tril(-1).T for k in (nngp, ntk))
        return Kernels(nngp, ntk)

    def diagonal(self, x: Tensor) -> Kernels:
        """``K(x_i, x_i)`` and ``Theta(x_i, x_i)``, both ``(n,)``: diagonals of ``kernel(x)``."""
        form = self._form(x)
        own = self._own(x)
        left, right = self._copies(x, x)
        parts = []
        for some in torch.arange(len(x), device=x.device).split(self._together(form)):
            pooled = PooledVariances(wanted=self.needs_own)
            pooled.left = pooled.right = [variance[some] for variance in own]
            state = self._run(left[some], right[some], pooled)
            parts.append((state.nngp.flatten(), _tangent(state).flatten()))
        return Kernels(torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts]))

    def entries(self, height: int = 1, width: int = 1) -> int:
        """Numbers of one covariance of one pair of inputs, at the input's size."""
        copies = 1 if self.lifting is None else self.lifting.cosets * self.lifting.group.order
        pixels = height * width
        return copies * (pixels**2 if self.needs_pairs else pixels)

    def _form(self, x: Tensor) -> Form:
        if x.ndim not in (2, 4) or 0 in x.shape or x.dtype not in (torch.float32, torch.float64):
            raise ValueError(
                f"inputs are {x.dtype} of shape {tuple(x.shape)}; expected float32 or float64, "
                "(batch, channels, height, width) or (batch, features)"
            )
        form = Form((x.shape[2], x.shape[3]) if x.ndim == 4 else None)
        final = _planned(self.layers, form)
        if final.size is not None or final.group is not None:
            left = f"maps {final.size}" if final.size else f"functions of {final.group}"
            raise ValueError(f"the network ends with {left}; expected a layer that pools them")
        if not final.gaussian:
            raise ValueError("the network ends with no affine layer; expected Dense at its end")
        return form

    def _together(self, form: Form) -> int:
        return max(1, _TILE // self.entries(*(form.size or (1, 1))))

    def _copies(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
        """What the kernel is the plain kernel of: ``(n1, T, ...)`` and ``(n2, G, ...)``."""
        if self.lifting is None:
            return x1[:, None], x2[:, None]
        group = self.lifting.group
        right = moved_copies(group, x2, range(group.order))
        return moved_copies(group, x1, range(self.lifting.cosets)), right

    def _own(self, x: Tensor) -> list[Tensor]:
        """The variances behind each pooling, ``(n, copies, ...)`` each."""
        if not self.needs_own:
            return []
        form = self._form(x)
        copies = self._copies(x, x)[1]  # all of them on both sides: each needs its own variance
        step = max(1, self._together(form) // copies.shape[1])
        parts: list[list[Tensor]] = []
        for some in copies.split(step):
            pooled = PooledVariances(own=True)
            self._run(some, some, pooled)
            parts.append(pooled.left)
        return [torch.cat(variances) for variances in zip(*parts, strict=True)]

    def _run(self, left: Tensor, right: Tensor, pooled: PooledVariances) -> KernelState:
        """All layers, on ``(pairs, T or G, channels, ...)``; so many displacements at a time."""
        if not (self.needs_pairs and self.displaced and left.ndim == 5):
            return _run(self.layers, self._start(left, right, pooled))
        height, width = left.shape[-2:]
        row = len(left) * left.shape[1] * right.shape[1] * height * width**2
        count = min(max(1, _TILE // row), height)
        parts = []
        before, after = self.layers[: self._apart], self.layers[self._apart :]
        means = isinstance(after[0], GlobalAveragePool)
        for first in range(0, height, count):
            rows = first, min(count, height - first)
            part = _run(before, self._start(left, right, pooled, rows))
            if means:  # over displacements too: sums are all that need be kept
                ntk = None if part.ntk is None else _sums(part.ntk)
                part = replace(part, nngp=_sums(part.nngp), ntk=ntk)
            parts.append(part)
        gather = _added if means else torch.cat
        ntks = [part.ntk for part in parts if part.ntk is not None]
        state = replace(
            parts[0],
            nngp=gather([part.nngp for part in parts], 5),
            ntk=gather(ntks, 5) if ntks else None,
            rows=None,
        )
        if not means:
            return _run(after, state)
        scale = 1 / (height * width) ** 2
        ntk = None if state.ntk is None else state.ntk * scale
        state = replace(state, nngp=state.nngp * scale, ntk=ntk, layout="flat")
        return _run(after[1:], pooled.next(state))

    def _start(
        self,
        left: Tensor,
        right: Tensor,
        pooled: PooledVariances,
        rows: tuple[int, int] | None = None,
    ) -> KernelState:
        """``K(p, q) = x(p) . x'(q) / channels`` of pairs, ``(pairs, T or G, channels, ...)``."""
        channels = left.shape[2]
        own = left.square().mean(dim=2), right.square().mean(dim=2)
        layout: Layout
        if left.ndim == 3:
            nngp, layout = left @ right.transpose(1, 2) / channels, "flat"
        elif not self.needs_pairs:
            # Channel by channel: there are few, and a product of matrices a pixel is slow.
            nngp = (left[:, :, None, 0] / channels) * right[:, None, :, 0]
            for c in range(1, channels):
                nngp.addcmul_(left[:, :, None, c], right[:, None, :, c], value=1 / channels)
            layout = "diagonal"
        else:
            nngp = _displaced_products(left, right, rows) if rows else _products(left, right)
            layout = "displaced" if rows else "pairs"
        group = None if self.lifting is None else self.lifting.group
        return KernelState(nngp, None, own[0], own[1], layout, pooled, group, rows)


def _blocks(rows: int, columns: int, pairs: int, half: bool) -> Iterator[tuple[slice, slice]]:
    """Blocks of at most ``pairs`` entries, with ``half`` square ones from the diagonal down."""
    side = max(1, math.isqrt(pairs))
    wide = side if half else min(columns, max(side, pairs // rows))
    high = side if half else max(1, pairs // wide)
    for i in range(0, rows, high):
        for j in range(0, i + 1 if half else columns, wide):
            yield slice(i, min(i + high, rows)), slice(j, min(j + wide, columns))


def _products(left: Tensor, right: Tensor) -> Tensor:
    """``x(p) . x'(q) / channels`` in the layout ``pairs``."""
    pairs, t, channels, h, w = left.shape
    # (B, T h w, C) (B, C, G h w)
    p = left.flatten(3).transpose(2, 3).flatten(1, 2)
    q = right.flatten(3).transpose(1, 2).flatten(2)
    every = (p @ q / channels).view(pairs, t, h, w, -1, h, w)
    return every.permute(0, 1, 4, 2, 5, 3, 6).contiguous()


def _displaced_products(left: Tensor, right: Tensor, rows: tuple[int, int]) -> Tensor:
    """The same in the layout ``displaced``, channel by channel."""
    scaled = left / left.shape[2]
    there, here = displaced(right[:, :, 0], rows), left_displaced(scaled[:, :, 0])
    # Laid out by the axes' order: of overlapping views torch would make another.
    nngp = left.new_empty(torch.broadcast_shapes(there.shape, here.shape))
    torch.mul(there, here, out=nngp)
    for channel in range(1, left.shape[2]):
        there = displaced(right[:, :, channel], rows)
        nngp.addcmul_(there, left_displaced(scaled[:, :, channel]))
    return nngp


def _sums(k: Tensor) -> Tensor:
    return k.flatten(3).sum(dim=-1)


def _added(parts: list[Tensor], _: int) -> Tensor:
    return torch.stack(parts).sum(dim=0)


def _couples(layer: Layer) -> bool:
    """Whether entries of different displacements meet in it, or the layout ends there."""
    return any(
        leaf.mixes_positions
        or (isinstance(leaf, Convolution) and not leaf.keeps_displacement)
        or isinstance(leaf, Flatten)
        for leaf in _leaves([layer])
    )


def _positions_first(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """A group pooling right before that over all positions swaps with it: means over both.

    Behind the latter no position need be turned back.
    """
    for place in range(len(layers) - 1):
        pair = layers[place : place + 2]
        if isinstance(pair[0], GroupPool) and isinstance(pair[1], GlobalAveragePool):
            return _positions_first((*layers[:place], pair[1], pair[0], *layers[place + 2 :]))
    return layers


def _planned(layers: Iterable[Layer], form: Form) -> Form:
    for layer in layers:
        form = layer.plan(form)
    return form


def _run(layers: Iterable[Layer], state: KernelState) -> KernelState:
    for layer in layers:
        state = layer.forward(state)
    return state


def _leaves(layers: Iterable[Layer]) -> Iterator[Layer]:
    for layer in layers:
        if isinstance(layer, Residual):
            yield from _leaves((*layer.branch, *layer.shortcut))
        else:
            yield layer


def _sum(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    return None if first is None or second is None else first + second


def _tangent(state: KernelState) -> Tensor:
    return torch.zeros_like(state.nngp) if state.ntk is None else state.ntk
