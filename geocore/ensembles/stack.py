"""The weights of many members of one architecture in one piece of memory."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from geocore.train.optimiser import make_optimiser

__all__ = ["Build", "Stack", "check_member"]

# Numbers: 64 bytes of float32, as torch aligns tensors. Kernels sum from such boundaries on, so a
# member among others has the very bits of one that is alone.
_ALIGNED = 16

Build = Callable[[int], nn.Module]
"""The untrained member of a seed."""


@dataclass(frozen=True)
class _Place:
    """Where a parameter lies: which of the two tensors, from where on, and its shape in memory."""

    group: int
    start: int
    shape: tuple[int, ...]
    lasts: bool  # channels lie last in memory

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def gap(self) -> int:
        """Numbers that stay zero after it, up to the next boundary."""
        return -self.size % _ALIGNED

    def shaped(self, numbers: Tensor) -> Tensor:
        """The parameter, ``(..., *shape)``, in its own ``(..., size)``: a view."""
        if not self.lasts:
            return numbers.view(*numbers.shape[:-1], *self.shape)
        out, into, height, width = self.shape
        view = numbers.view(*numbers.shape[:-1], out, height, width, into)
        return view.movedim(-1, -3)


class Stack:
    """``M`` networks: every trainable number of all is in ``weights``, two tensors ``(M, P)``.

    The first holds what weight decay acts on, the second the rest, and ``weights[i].grad`` has
    room for the gradients: an optimiser sees two tensors, whatever the number of members. A
    parameter of a member is a view of its row; that of a convolution has its channels last in
    memory. Frozen parameters and buffers that are equal in all members are held once.

    ``build(seed)`` makes a member. Raises ``ValueError`` for no seeds, equal or negative ones, and
    for members that ``check_member`` refuses, that differ in their layers or what those are set
    to, or have parameters of several dtypes.
    """

    def __init__(self, build: Build, seeds: Sequence[int], device: torch.device) -> None:
        if not seeds:
            raise ValueError("seeds are none; expected one a member, and at least one member")
        if len(set(seeds)) != len(seeds) or min(seeds) < 0:
            raise ValueError(f"seeds are {list(seeds)}; expected different ones, at least 0")
        self.seeds, self.device = tuple(seeds), device
        self.template = build(seeds[0]).to(device)
        check_member(self.template)
        self._places, self._aliases = _places(self.template), _aliases(self.template)
        dtype = next(iter(_trainable(self.template).values())).dtype
        sizes = [0, 0]
        for place in self._places.values():
            sizes[place.group] += place.size + place.gap
        self.weights = tuple(
            torch.zeros(len(seeds), size, dtype=dtype, device=device) for size in sizes
        )
        for rows in self.weights:
            rows.grad = torch.zeros_like(rows)
        self._shared = _constants(self.template)
        self._own: list[dict[str, Tensor]] = []
        for row, seed in enumerate(seeds):
            self._take(row, build(seed).to(device) if row else self.template)

    def __len__(self) -> int:
        return len(self.seeds)

    @property
    def parameters(self) -> int:
        """Trainable numbers of a member."""
        return sum(place.size for place in self._places.values())

    def leaves(self, members: slice) -> tuple[Tensor, ...]:
        """Rows of ``weights`` for autograd, whose gradients add up in ``weights[i].grad``."""
        found = []
        for rows in self.weights:
            leaf = rows.detach()[members].requires_grad_()
            assert rows.grad is not None
            leaf.grad = rows.grad[members]
            found.append(leaf)
        return tuple(found)

    def named(self, rows: Sequence[Tensor]) -> dict[str, Tensor]:
        """Rows of both tensors as parameters by name, ``(..., *shape)``: views of them."""
        sizes: tuple[list[int], list[int]] = ([], [])
        for place in self._places.values():
            sizes[place.group].extend([place.size, place.gap])
        # One split and not a slice each: its gradient is one tensor, written once.
        parts = [iter(part.split(size, dim=-1)) for part, size in zip(rows, sizes, strict=True)]
        found = {}
        for name, place in self._places.items():
            found[name] = place.shaped(next(parts[place.group]))
            next(parts[place.group])
        return found

    def module(self, member: int) -> nn.Module:
        """A member as an ordinary network, trained in place: its parameters are views of its row.

        Its gradients are views too, and add up until ``zero_grad`` of the stack.
        """
        made = copy.deepcopy(self.template)
        values, grads = (
            self.named([part[member] for part in parts]) for parts in (self.weights, self._grads)
        )
        for name, value in values.items():
            parameter = nn.Parameter(value.detach())
            parameter.grad = grads[name]
            for alias in self._aliases[name]:
                _put(made, alias, parameter)
        for name, value in {**self._shared, **self._own[member]}.items():
            _put(made, name, value)
        return made

    def state_dict(self, member: int, weights: Sequence[Tensor] | None = None) -> dict[str, Tensor]:
        """A copy of what a member's ``state_dict`` holds, of ``weights`` in the stack's layout."""
        rows = [part[member] for part in (self.weights if weights is None else weights)]
        values = {**self._shared, **self._own[member]}
        for name, value in self.named(rows).items():
            values |= dict.fromkeys(self._aliases[name], value)
        return {
            name: values[name].detach().clone(memory_format=torch.contiguous_format)
            for name in self.template.state_dict()
        }

    def coefficients(self, named: Mapping[str, float]) -> tuple[Tensor, ...]:
        """A number a parameter, spread over its places: ``(P,)`` for each of the two tensors.

        Raises ``ValueError`` for a name that no parameter has, and for one that is missing.
        """
        if named.keys() != self._places.keys():
            odd = ", ".join(sorted(named.keys() ^ self._places.keys()))
            raise ValueError(f"named differs from the members' parameters in {odd}")
        for name, value in named.items():
            if not 0 <= value < math.inf:
                raise ValueError(f"the coefficient of {name} is {value}; expected at least 0")
        found = [torch.zeros_like(rows[0]) for rows in self.weights]
        for name, place in self._places.items():
            found[place.group][place.start : place.start + place.size] = named[name]
        return tuple(found)

    def zero_grad(self) -> None:
        """Set all gradients to zero, in place."""
        for grad in self._grads:
            grad.zero_()

    @property
    def _grads(self) -> list[Tensor]:
        grads = [rows.grad for rows in self.weights]
        return [grad for grad in grads if grad is not None]

    def _take(self, row: int, member: nn.Module) -> None:
        if row:
            _check_alike(self.template, member, self.seeds[row])
        given = _trainable(member)
        for name, value in self.named([rows[row] for rows in self.weights]).items():
            value.copy_(given[name].detach())
        # Tables that are equal in all members are held once.
        own = _constants(member)
        self._own.append(
            {name: value for name, value in own.items() if not _equal(value, self._shared[name])}
        )


def check_member(model: nn.Module) -> None:
    """``ValueError`` naming a layer with statistics of the batch, or a network without weights."""
    for name, layer in model.named_modules():
        if isinstance(layer, _BatchNorm) or getattr(layer, "track_running_stats", False):
            raise ValueError(
                f"layer {name or 'itself'} is {type(layer).__name__}, which has statistics of the "
                "batch; expected a norm without, as GroupNorm, LayerNorm or FilterResponseNorm"
            )
    if not _trainable(model):
        raise ValueError("the network has no parameters to train; expected at least one")


def _trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def _constants(model: nn.Module) -> dict[str, Tensor]:
    """Buffers, also those that no state dict holds, and frozen parameters."""
    frozen = {name: p for name, p in model.named_parameters() if not p.requires_grad}
    return {**frozen, **dict(model.named_buffers())}


def _equal(first: Tensor, second: Tensor) -> bool:
    return first is second or (first.dtype == second.dtype and torch.equal(first, second))


def _check_alike(first: nn.Module, other: nn.Module, seed: int) -> None:
    """``ValueError`` where a member's layers, shapes or dtypes are not those of the first."""
    layers = [dict(model.named_modules()) for model in (first, other)]
    kinds = [{name: type(layer) for name, layer in own.items()} for own in layers]
    if kinds[0] != kinds[1]:
        odd = sorted(n for n in {**kinds[0], **kinds[1]} if kinds[0].get(n) != kinds[1].get(n))
        raise ValueError(
            f"the member of seed {seed} has other layers than the first, at {', '.join(odd)}; "
            "expected one architecture"
        )
    for found in (_trainable, _constants):
        one, two = (
            {name: (tuple(v.shape), v.dtype) for name, v in found(model).items()}
            for model in (first, other)
        )
        if one != two:
            name = next(n for n in (*one, *two) if one.get(n) != two.get(n))
            raise ValueError(
                f"{name} of the member of seed {seed} is {two.get(name)}; "
                f"expected {one.get(name)}, as of the first"
            )
    for name, layer in layers[0].items():
        settings = layer.extra_repr(), layers[1][name].extra_repr()
        if settings[0] != settings[1]:
            raise ValueError(
                f"layer {name or 'itself'} of the member of seed {seed} has {settings[1]}; "
                f"expected {settings[0]}, as of the first"
            )


def _places(model: nn.Module) -> dict[str, _Place]:
    """Where each trainable parameter lies: those that decay in the first tensor."""
    trainable = _trainable(model)
    dtypes = {p.dtype for p in trainable.values()}
    if len(dtypes) > 1:
        raise ValueError(f"parameters have dtypes {sorted(map(str, dtypes))}; expected one")
    groups = make_optimiser(model, lr=1.0, weight_decay=1.0).param_groups
    decaying = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}
    found: dict[str, _Place] = {}
    for group in range(2):
        chosen = {n: p for n, p in trainable.items() if (id(p) in decaying) == (group == 0)}
        lengths = (p.numel() + -p.numel() % _ALIGNED for p in chosen.values())
        starts = accumulate(lengths, initial=0)
        for (name, p), start in zip(chosen.items(), starts, strict=False):
            found[name] = _Place(group, start, tuple(p.shape), p.ndim == 4)
    return {name: found[name] for name in trainable}


def _aliases(model: nn.Module) -> dict[str, list[str]]:
    """All names of each parameter: layers may share one."""
    names: dict[int, list[str]] = {}
    for name, p in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(p), []).append(name)
    return {found[0]: found for found in names.values()}


def _put(model: nn.Module, name: str, value: Tensor) -> None:
    path, _, last = name.rpartition(".")
    layer = model.get_submodule(path)
    table = layer._parameters if last in layer._parameters else layer._buffers
    table[last] = value  # type: ignore[assignment]
