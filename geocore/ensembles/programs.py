"""How the members of a stack compute together: as one program, or each through its own layers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from geocore.ensembles.chain import Chain
from geocore.ensembles.losses import Loss
from geocore.ensembles.noise import Noise, noise_count, put_noise, stochastic_layers
from geocore.ensembles.planes import maxima_first
from geocore.ensembles.stack import Stack
from geocore.train.objective import Learned
from geocore.train.randomness import deterministic, get_rng_state, set_rng_state

__all__ = ["Batched", "OneByOne", "Program", "Strategy", "program"]

Strategy = Literal["auto", "batched", "one_by_one"]
Batch = Callable[[range], tuple[Tensor, Tensor]]
"""Inputs and targets of some members, each ``(members, batch, ...)``."""

_CACHED = 2**21  # bytes of one activation of the members that go together: what caches hold
_PIECE = 2**25 - 2**16  # bytes, the page and the head of a piece taken off


class Program(ABC):
    """Outputs and gradients of a stack's members."""

    stack: Stack
    stochastic: int  # numbers that a sample takes of its member's noise

    @abstractmethod
    def gradients(
        self,
        batch: Batch,
        size: int,
        loss: Loss,
        noise: Noise | None,
        step: int,
        active: Sequence[bool],
    ) -> Learned:
        """Add each active member's gradient to the stack; what its batch of ``size`` says.

        The fields are ``(members,)`` float64, zero for who is not active.
        """  # fmt: skip

    @abstractmethod
    def norms(self) -> Tensor:
        """The norm of each member's gradient, ``(members,)``."""

    @abstractmethod
    def outputs(self, member: range, x: Tensor, noise: Tensor | None) -> Tensor:
        """Of some members at one batch: ``x (batch, ...)`` -> ``(members, batch, ...)``.

        ``noise (members, batch, count)``. Networks are as in use (``eval``), but for their
        stochastic layers; without gradients.
        """

    @abstractmethod
    def blocks(self, batch: int) -> Iterator[range]:
        """All members, those together that compute together."""


class Batched(Program):
    """The members of a chain of simple layers, as one program (``chain.py``).

    Where an activation of all would leave the caches, members go in blocks. A block has copies of
    what convolutions see, as many times their inputs as a kernel has places.
    """

    def __init__(self, stack: Stack, chain: Chain) -> None:
        self.stack, self._chain = stack, chain
        self.stochastic = noise_count(stochastic_layers(stack.template))

    def gradients(
        self, batch: Batch, size: int, loss: Loss, noise: Noise | None, step: int,
        active: Sequence[bool],
    ) -> Learned:  # fmt: skip
        found = []
        for members in self.blocks(size):
            if not any(active[members.start : members.stop]):
                found.append(torch.zeros(3, len(members), dtype=torch.float64))
                continue
            x, targets = batch(members)
            drawn = None if noise is None else noise.stacked(members, step, x.shape[1]).to(x.device)
            leaves = self.stack.leaves(slice(members.start, members.stop))
            outputs = self._chain(self.stack.named(leaves), x, drawn)
            learned = loss.learned(outputs, targets)
            learned.loss.sum().backward()
            found.append(torch.stack([value.detach().double() for value in learned]).cpu())
        return Learned(*torch.cat(found, dim=1))

    def norms(self) -> Tensor:
        members = len(self.stack)
        grads = [rows.grad for rows in self.stack.weights if rows.grad is not None]
        # A single row is summed in another order than one of several.
        rows = [grad.expand(2, -1) if members == 1 else grad for grad in grads]
        found: Tensor = torch.stack([part.norm(dim=1)[:members] for part in rows]).norm(dim=0)
        return found

    def outputs(self, member: range, x: Tensor, noise: Tensor | None) -> Tensor:
        rows = [part[member.start : member.stop] for part in self.stack.weights]
        x = x.expand(len(member), *x.shape)
        noise = None if noise is None else noise.to(x.device)
        with torch.no_grad():
            return self._chain(self.stack.named(rows), x, noise)

    def blocks(self, batch: int) -> Iterator[range]:
        width = self.stack.weights[0].element_size() * batch * self._chain.widest
        together = max(1, _CACHED // width)
        for start in range(0, len(self.stack), together):
            yield range(start, min(start + together, len(self.stack)))


class OneByOne(Program):
    """Any network: each member through its own layers, whose parameters are views of the stack.

    A member that draws from torch's random state (dropout) has a state of its own, that of a
    training of its seed alone. Convolutions get images with their channels last, and a maximum
    goes before a ReLU.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._members = [_quicker(stack.module(member)).train() for member in range(len(stack))]
        self._layers = [stochastic_layers(member) for member in self._members]
        self.stochastic = noise_count(self._layers[0])
        self._convolves = any(isinstance(m, nn.Conv2d) for m in stack.template.modules())
        self.rng = []
        for seed in stack.seeds:
            with deterministic(seed, stack.device):
                self.rng.append(get_rng_state(stack.device))

    def gradients(
        self, batch: Batch, size: int, loss: Loss, noise: Noise | None, step: int,
        active: Sequence[bool],
    ) -> Learned:  # fmt: skip
        found = torch.zeros(3, len(self.stack), dtype=torch.float64)
        device = self.stack.device
        for member, model in enumerate(self._members):
            if not active[member]:
                continue
            x, targets = batch(range(member, member + 1))
            if noise is not None:
                put_noise(self._layers[member], noise(member, step, x.shape[1]).to(device))
            set_rng_state(self.rng[member], device)
            outputs = model(self._image(x[0]))
            self.rng[member] = get_rng_state(device)
            put_noise(self._layers[member], None)
            learned = loss.learned(outputs[None], targets)
            learned.loss[0].backward()
            found[:, member] = torch.stack([value[0].detach().double() for value in learned])
        return Learned(*found)

    def norms(self) -> Tensor:
        # The norm of its parameters' norms, as a training alone has it, to the last bit.
        return torch.stack(
            [
                nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
                for model in self._members
            ]
        )

    def outputs(self, member: range, x: Tensor, noise: Tensor | None) -> Tensor:
        found = []
        for place, number in enumerate(member):
            model = self._members[number]
            if noise is not None:
                put_noise(self._layers[number], noise[place].to(x.device))
            model.eval()
            with torch.no_grad():
                found.append(model(self._image(x)))
            model.train()
            put_noise(self._layers[number], None)
        return torch.stack(found)

    def blocks(self, batch: int) -> Iterator[range]:
        return (range(member, member + 1) for member in range(len(self.stack)))

    def _image(self, x: Tensor) -> Tensor:
        if not self._convolves or x.ndim != 4:
            return x
        if x.shape[1] > 1:
            return x.contiguous(memory_format=torch.channels_last)
        # Of one channel both layouts are the same memory, and the strides say which is meant.
        rows, (_, _, height, width) = x.contiguous(), x.shape
        return rows.as_strided(x.shape, (height * width, 1, width, 1))


def program(stack: Stack, strategy: Strategy = "auto") -> Program:
    """What computes the members of ``stack``; by itself batched wherever the network allows it.

    Raises ``ValueError`` if ``batched`` is asked for of a network that it does not know.
    """
    if strategy not in ("auto", "batched", "one_by_one"):
        raise ValueError(f"strategy is {strategy!r}; expected auto, batched or one_by_one")
    _keep_freed_memory()
    chain = None if strategy == "one_by_one" else Chain.of(stack.template)
    if chain is not None:
        return Batched(stack, chain)
    if strategy == "batched":
        found = type(stack.template).__name__
        raise ValueError(f"strategy is batched and the network {found}; expected a chain of layers")
    return OneByOne(stack)


def _quicker(model: nn.Module) -> nn.Module:
    """The same network, changed in place: maxima before ReLUs."""
    for part in model.modules():
        if type(part) is nn.Sequential:
            layers = maxima_first([*part._modules.items()])
            part._modules.clear()
            part._modules.update(layers)
    return model


def _keep_freed_memory() -> None:
    """Let the process keep what a step frees, for the next step.

    glibc hands freed memory back to the kernel, and pays for each page of it anew, unless it has
    freed a larger piece before: up to 32 MiB that raises its own threshold (mallopt(3)). Pages were
    a fifth of a small CNN's step. The piece is never touched, so it costs nothing.
    """
    torch.empty(_PIECE, dtype=torch.uint8)
