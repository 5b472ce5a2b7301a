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

import dataclasses
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from geocore.groups.finite import PlanarGroup
from geocore.kernels.convolution import Convolution
from geocore.kernels.group_layers import GroupPool, LiftingConvolution, moved_copies
from geocore.kernels.layers import Flatten, Form, GlobalAveragePool, Identity, Layer
from geocore.kernels.pages import keep_pages
from geocore.kernels.state import (
    KernelState,
    Layout,
    Side,
    by_position,
    displaced_products,
    products,
)

__all__ = ["InfiniteNetwork", "Kernels", "Residual", "serial"]

# Entries of one covariance that are worked on at a time. They stay in the cache; fewer, and the
# start of the operations would count.
_TILE = 2**18
_STRETCH = 512  # entries that lie together, at least, for one position of the left
_SHARED = 4  # samples on the left for which what is laid out of the right serves, at least


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
        branch = _run(self.branch, state)
        shortcut = _run(self.shortcut, state.but(taken=branch.taken))
        if branch.layout != shortcut.layout:
            branch, shortcut = branch.as_pairs(), shortcut.as_pairs()
        ratio = shortcut.scale / branch.scale

        def added(first: Tensor | None, second: Tensor | None) -> Tensor | None:
            if first is None or second is None:
                return None
            return torch.add(first, second, alpha=ratio)

        ntk = branch.ntk if shortcut.ntk is None else added(branch.ntk, shortcut.ntk)
        return branch.but(
            nngp=added(branch.nngp, shortcut.nngp),
            ntk=ntk,
            own=added(branch.own, shortcut.own),
            taken=shortcut.taken,
        )


def serial(*layers: Layer) -> InfiniteNetwork:
    """The network that applies ``layers`` in order.

    Raises ``ValueError`` where two do not fit, ``TypeError`` for what is no layer.
    """
    return InfiniteNetwork(layers)


class InfiniteNetwork:
    """A network of infinite width with one output, linear in its last weights.

    What each position must know of the others is decided here: where nothing pools, only equal
    positions of two inputs are ever computed, for the rest counts nowhere. Where convolutions are
    on the torus, covariances lie by displacement.
    """

    def __init__(self, layers: Iterable[Layer]) -> None:
        self.layers = _positions_first(tuple(layers))
        check_layers(self.layers)
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
        self.displaced = self.needs_pairs and first is not None and first.keeps_displacement
        # Up to here one displacement of two positions knows nothing of another.
        self._apart = next(
            n for n, l in enumerate(self.layers) if not self.displaced or _couples(l)
        )
        asking = (n + 1 for n, l in enumerate(self.layers) if _asks(l))
        self._planned: set[tuple[int, int] | None] = set()  # sizes that the layers take
        self._last_asked = max(asking, default=0)

    def kernel(self, x1: Tensor, x2: Tensor | None = None) -> Kernels:
        """``K(x_i, x'_j)`` and ``Theta(x_i, x'_j)``: both ``(n1, n2)``, in the inputs' dtype.

        ``x1 (n1, channels, height, width)`` or ``(n1, features)``, float32 or float64, and ``x2``
        of the same shape but for ``n2``. Without ``x2`` the kernel of ``x1`` with itself: one half
        is computed, and is the other. Memory is bounded whatever ``n1`` and ``n2``: pairs are taken
        a few at a time. Nothing of it can be differentiated. Equal calls give equal bytes. Threads
        may call it at once: with ``torch.set_num_threads(1)`` each keeps a processor busy. Raises
        ``ValueError`` for inputs of different shapes or that the network does not take.
        """
        self._form(x1)
        if x2 is not None and (x1.shape[1:] != x2.shape[1:] or x1.dtype != x2.dtype):
            found = f"{x1.dtype} {tuple(x1.shape)} and {x2.dtype} {tuple(x2.shape)}"
            raise ValueError(f"x1 and x2 are {found}; expected one dtype and shape of a sample")
        form = self._form(x1 if x2 is None else x2)
        rows, columns = len(x1), len(x1 if x2 is None else x2)
        if self.entries(*(form.size or (1, 1))) * rows * columns > _TILE:
            keep_pages()
        nngp, ntk = x1.new_empty(rows, columns), x1.new_empty(rows, columns)
        high, wide = self._block(form, rows, columns, half=x2 is None)
        with torch.inference_mode():  # an operation starts sooner without a look for gradients
            # Samples of both sides in one tensor: their variances are computed together.
            side = self._side(x1 if x2 is None else torch.cat([x1, x2]), form)
            offset, copies = 0 if x2 is None else rows, side.inputs.shape[1]
            for j in range(0, columns, wide):
                js = slice(j, min(j + wide, columns))
                right = side.block(slice(offset + j, offset + js.stop), copies)
                for i in range(j if x2 is None else 0, rows, high):
                    is_ = slice(i, min(i + high, rows))
                    block = self._kernels(side.block(is_, self._cosets), right)
                    nngp[is_, js], ntk[is_, js] = block.nngp[0], block.ntk[0]
        if x2 is None:
            nngp, ntk = (k.tril() + k.tril(-1).T for k in (nngp, ntk))
        return Kernels(nngp, ntk)

    def diagonal(self, x: Tensor) -> Kernels:
        """``K(x_i, x_i)`` and ``Theta(x_i, x_i)``, both ``(n,)``: diagonals of ``kernel(x)``."""
        form = self._form(x)
        side = self._side(x.detach(), form)
        parts = []
        for first in range(0, len(x), self._together(form)):
            some = slice(first, first + self._together(form))
            left, right = (side.some(some, n) for n in (self._cosets, side.inputs.shape[1]))
            parts.append(self._kernels(left, right))
        nngp, ntk = (torch.cat(kernels).flatten() for kernels in zip(*parts, strict=True))
        return Kernels(nngp, ntk)

    def describe(self) -> str:
        """What decides the kernel but its inputs: the layers, each with its settings."""
        return f"serial({', '.join(map(_written, self.layers))})"

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
        if form.size in self._planned:
            return form
        final = _planned(self.layers, form)
        if final.size is not None or final.group is not None:
            left = f"maps {final.size}" if final.size else f"functions of {final.group}"
            raise ValueError(f"the network ends with {left}; expected a layer that pools them")
        if not final.gaussian:
            raise ValueError("the network ends with no affine layer; expected Dense at its end")
        self._planned.add(form.size)
        return form

    @property
    def _cosets(self) -> int:
        return 1 if self.lifting is None else self.lifting.cosets

    def _together(self, form: Form) -> int:
        return max(1, _TILE // self.entries(*(form.size or (1, 1))))

    def _block(self, form: Form, rows: int, columns: int, half: bool) -> tuple[int, int]:
        """How many samples of the left and of the right are one block."""
        pairs = self._together(form)
        if self.needs_pairs:
            # Few on the right: what is laid out of them is as large as a pair's covariance, and
            # serves all on the left.
            height, width = form.size or (1, 1)
            order = 1 if self.lifting is None else self.lifting.group.order
            wide = min(pairs, max(1, _STRETCH // (order * height * width)), columns)
            return max(pairs // wide, _SHARED if self.displaced else 1), wide
        side = math.isqrt(pairs)
        wide = side if half else min(columns, max(side, pairs // rows))
        return max(1, pairs // wide), wide

    def _side(self, x: Tensor, form: Form) -> Side:
        """The copies whose plain kernel this is, and the variances that layers ask for."""
        copies = x[:, None]
        if self.lifting is not None:
            group = self.lifting.group
            copies = moved_copies(group, x, range(group.order))
        noted: list[Tensor] = []
        if not self.needs_own:
            _run(self.layers[: self._last_asked], _alone(copies, noted))
            if self.needs_pairs:  # other layouts hold positions last
                noted = [note.contiguous() for note in noted]
            return Side(copies, noted, copies.shape[1])
        step = max(1, self._together(form) // copies.shape[1])
        parts = [self._noted(some) for some in copies.split(step)]
        noted = [torch.cat(notes).contiguous() for notes in zip(*parts, strict=True)]
        return Side(copies, noted, copies.shape[1])

    def _noted(self, copies: Tensor) -> list[Tensor]:
        """The notes of inputs by their kernels with themselves, ``(n, copies, h, w)`` each."""
        noted: list[Tensor] = []
        before, after = self.layers[: self._apart], self.layers[self._apart : self._last_asked]
        alone = _run(before, _alone(copies, noted))
        side = Side(copies, noted, copies.shape[1])
        _run(after, self._meeting(side, side).but(own=alone.own, noted=noted))
        return noted

    def _kernels(self, left: Side, right: Side) -> Kernels:
        """Of blocks of pairs: ``(blocks, n1, n2)``."""
        state = _run(self.layers[self._apart :], self._meeting(left, right)).applied()
        if state.nngp is None:
            raise RuntimeError("the network dropped its covariances")
        return Kernels(state.nngp, torch.zeros_like(state.nngp) if state.ntk is None else state.ntk)

    def _meeting(self, left: Side, right: Side) -> KernelState:
        """The layers before which displacements meet; some displacements at a time."""
        before, after = self.layers[: self._apart], self.layers[self._apart :]
        if not self.displaced:
            return self._start(left, right)
        height, width = left.inputs.shape[-2:]
        # Of one sample on the left no more than of so many: its share of the memory stays small.
        lefts = max(left.inputs.shape[1], _SHARED * left.each)
        inputs = left.inputs.shape[0] * lefts * right.inputs.shape[1]
        count = min(max(1, _TILE // (inputs * height * width**2)), height)
        # Means over displacements too: sums are all that need be kept.
        pool = after[0] if isinstance(after[0], GlobalAveragePool) else None
        parts = []
        for first in range(0, height, count):
            rows = first, min(count, height - first)
            part = _run(before, self._start(left, right, rows))
            parts.append(part if pool is None else part.mapped(pool.sums, lambda v: v))
        state = parts[0].but(rows=(0, height))

        def gathered(pieces: list[Tensor]) -> Tensor:
            if len(pieces) == 1:
                return pieces[0]
            return torch.cat(pieces, dim=5) if pool is None else torch.stack(pieces).sum(dim=0)

        nngp = gathered([part.nngp for part in parts if part.nngp is not None])
        ntk = None
        if state.ntk is not None:
            ntk = gathered([part.ntk for part in parts if part.ntk is not None])
        state = state.but(nngp=nngp, ntk=ntk)
        if pool is None:
            return state
        return state.scaled(state.scale / (height * width) ** 2).but(layout="flat")

    def _start(self, left: Side, right: Side, rows: tuple[int, int] | None = None) -> KernelState:
        """``K(p, q) = x(p) . x'(q) / channels``."""
        x, y = left.inputs, right.inputs
        layout: Layout
        if x.ndim == 3:
            nngp, layout = x @ y.transpose(1, 2), "flat"
        elif not self.needs_pairs:
            # Channel by channel: there are few, and a product of matrices a pixel is slow.
            here, there = by_position(x)[..., None], by_position(y)[..., None, :]
            nngp, layout = here[0] * there[0], "diagonal"
            for channel in range(1, len(here)):
                nngp.addcmul_(here[channel], there[channel])
            nngp = nngp.permute(2, 3, 4, 0, 1)
        elif rows is None:
            nngp, layout = products(x, y), "pairs"
        else:
            nngp, layout = displaced_products(left, right, rows), "displaced"
        group = None if self.lifting is None else self.lifting.group
        scale = 1 / x.shape[2]
        return KernelState(nngp, None, layout, left, right, scale, group=group, rows=rows or (0, 0))


def _written(thing: object) -> str:
    """As ``repr`` but for a group, which goes by its name."""
    if isinstance(thing, PlanarGroup):
        return thing.name
    if isinstance(thing, tuple):
        return f"({', '.join(_written(one) for one in thing)})"
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        fields = dataclasses.fields(thing)
        inside = (f"{field.name}={_written(getattr(thing, field.name))}" for field in fields)
        return f"{type(thing).__name__}({', '.join(inside)})"
    return repr(thing)


def _alone(copies: Tensor, noted: list[Tensor]) -> KernelState:
    """The variances of inputs ``(n, copies, channels, ...)`` and no covariances."""
    side = Side(copies, [])
    layout: Layout
    if copies.ndim == 3:
        own, layout = copies.square().sum(dim=2), "flat"
    else:
        laid, layout = by_position(copies), "diagonal"
        own = (laid * laid).sum(dim=0).permute(2, 3, 0, 1)
    return KernelState(None, None, layout, side, side, 1 / copies.shape[2], own=own, noted=noted)


def check_layers(layers: Iterable[Layer]) -> None:
    """Raises ``TypeError`` for what is no layer, in a ``Residual`` too: a class is none."""
    for layer in _leaves(layers):
        if not isinstance(layer, Layer):
            raise TypeError(f"layer is {layer!r}; expected a layer, such as Dense()")


def _asks(layer: Layer) -> bool:
    """Whether something in it asks for variances."""
    return any(leaf.needs_variances for leaf in _leaves([layer]))


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
