r"""The tangent kernel of a finite network, by automatic differentiation.

.. math:: \Theta_{ab}(x, x') = \sum_p \frac{\partial f_a(x)}{\partial\theta_p}
          \frac{\partial f_b(x')}{\partial\theta_p} = (J(x)\, J(x')^T)_{ab}

over the network's trainable numbers. Two ways: *Jacobian contraction* makes J of both batches and
multiplies them; *products* never make J: column b of a pair is J(x) times the gradient of f_b(x'),
a backward pass for x' and a forward-mode pass for x. Source: Novak et al., arXiv:2206.08720.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import jacrev, jvp, vjp, vmap
from torch.nn.modules.batchnorm import _BatchNorm

from geocore.kernels.pass_cost import pass_cost
from geocore.models.functional import Functional

__all__ = ["Form", "Method", "NtkCost", "empirical_ntk", "ntk_cost"]

Form = Literal["full", "trace", "diagonal"]
Method = Literal["auto", "jacobian", "products", "autograd"]

_MEMORY = 1 << 28
# What an operation of a pass takes, in those of a large matrix product. Gradients of one sample
# each come from many small products, tangents of a batch from large ones.
_ROW, _TANGENT = 8.0, 2.0


@dataclass(frozen=True)
class NtkCost:
    """What both ways would take, in the operations of a large matrix product.

    ``chunk`` is the number of samples of a batch, on each side, that fits the memory asked for;
    ``jacobian_chunk`` and ``products_chunk`` are those of each way.
    """

    jacobian: float
    products: float
    jacobian_chunk: int
    products_chunk: int

    @property
    def method(self) -> Literal["jacobian", "products"]:
        """The cheaper one."""
        return "jacobian" if self.jacobian <= self.products else "products"


def ntk_cost(
    network: nn.Module,
    x1: Tensor,
    x2: Tensor | None = None,
    *,
    form: Form = "full",
    chunk: int | None = None,
    memory: int = _MEMORY,
) -> NtkCost:
    """Predict the cost of ``empirical_ntk`` from a pass of one sample, F operations.

    With n and m samples, O outputs, P parameters: contraction makes ``(n + m c) O`` rows of J, a
    forward and a backward pass each, c the number of batches of ``x1``, and multiplies
    ``n m O^2 P`` numbers (``n m O P`` but for the full form); products take ``n m O`` forward-mode
    passes, two forward ones each, and ``m O c`` rows.
    """
    _check(network, x1, x2, form, "auto", chunk)
    sample = pass_cost(network, x1[:1])
    outputs, numbers = sample.outputs, _count(network)
    n, m = len(x1), len(x1 if x2 is None else x2)
    room = memory / x1.element_size() / outputs
    # A row of J and what the backward pass keeps of the sample, for both batches of a pair.
    own = max(1, int(room / (2 * numbers + 2 * sample.numbers)))
    # With c samples a side, c O columns: a gradient each, and the tangents of c samples.
    made = 2 * sample.numbers
    pairs = max(1, int(((numbers**2 + 4 * made * room) ** 0.5 - numbers) / (2 * made)))
    chunks = [min(max(n, m), found if chunk is None else chunk) for found in (own, pairs)]
    half = 0.5 if x2 is None else 1.0
    row, tangent = (2 * weight * sample.operations for weight in (_ROW, _TANGENT))
    batches = [ceil(n / found) for found in chunks]
    contraction = 2 * half * n * m * numbers * (outputs**2 if form == "full" else outputs)
    rows = (n + half * m * (batches[0] - 1) + (0 if x2 is None else m)) * outputs
    return NtkCost(
        jacobian=rows * row + contraction,
        products=half * m * outputs * (n * tangent + batches[1] * row),
        jacobian_chunk=chunks[0],
        products_chunk=chunks[1],
    )


def empirical_ntk(
    network: nn.Module,
    x1: Tensor,
    x2: Tensor | None = None,
    *,
    form: Form = "full",
    method: Method = "auto",
    chunk: int | None = None,
    memory: int = _MEMORY,
) -> Tensor:
    """``Theta(x1_i, x2_j)`` of the network at its present parameters.

    ``x1 (n, ...)``, ``x2 (m, ...)``; without ``x2`` it is ``x1``, and half of the work is done.
    ``form``: ``full`` gives ``(n, m, outputs, outputs)``; ``diagonal`` ``Theta_aa``, ``(n, m,
    outputs)``; ``trace`` the sum of these over outputs, ``(n, m)``. An output of several axes is
    flattened. Goes over pairs of batches of ``chunk`` samples, by itself as many as keep what is
    held at once near ``memory`` bytes, beside the result.

    ``auto`` takes the cheaper of ``jacobian`` and ``products`` (``ntk_cost``), but the first where
    the network has a step without a forward-mode derivative (HEAL-SWIN's permutations), which
    ``products`` need. Both need a network that ``torch.func`` sees through; ``autograd`` does
    Jacobian contraction by one ordinary backward pass a sample and output, for any network.

    Raises ``ValueError`` for a network without trainable parameters or with batch norm in training,
    for inputs of unlike shapes, and other forms, methods and chunks.
    """
    _check(network, x1, x2, form, method, chunk)
    cost = ntk_cost(network, x1, x2, form=form, chunk=chunk, memory=memory)
    if method == "auto":
        method = cost.method if _has_forward_mode(network, x1[:1]) else "jacobian"
    size = cost.products_chunk if method == "products" else cost.jacobian_chunk
    maker = _Maker(network, form, method)
    second = x1 if x2 is None else x2
    result: Tensor | None = None
    for start in range(0, len(x1), size):
        left, here = maker.left(x1[start : start + size]), slice(start, start + size)
        for other in range(0, start + 1 if x2 is None else len(second), size):
            there = slice(other, other + size)
            block = maker.block(left, None if x2 is None and other == start else second[there])
            if result is None:
                result = block.new_empty(len(x1), len(second), *block.shape[2:])
            result[here, there] = block
            if x2 is None and other != start:
                turned = block.transpose(0, 1)
                result[there, here] = turned.mT if form == "full" else turned
    assert result is not None
    return result


class _Maker:
    """Blocks of the kernel, in one way; ``left`` holds what the pairs of one left batch share."""

    def __init__(self, network: nn.Module, form: Form, method: Method) -> None:
        self._network, self._form, self._method = network, form, method
        self._call = Functional(network)
        self._parameters = self._call.trainable()

    def left(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        return x, [] if self._method == "products" else self._jacobian(x)

    def block(self, left: tuple[Tensor, list[Tensor]], right: Tensor | None) -> Tensor:
        """Of a left batch and ``right (m, ...)``, or itself: ``(n, m, ...)``."""
        x, own = left
        if self._method == "products":
            return self._products(x, x if right is None else right)
        return self._contracted(own, own if right is None else self._jacobian(right))

    def _outputs(self, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        return self._call(parameters, x).flatten(1)

    def _jacobian(self, x: Tensor) -> list[Tensor]:
        """Of each parameter ``(batch, outputs, numbers)``."""
        if self._method == "autograd":
            return self._jacobian_row_by_row(x)

        def single(parameters: dict[str, Tensor], sample: Tensor) -> Tensor:
            return self._outputs(parameters, sample[None])[0]

        with torch.no_grad():
            rows = vmap(jacrev(single), in_dims=(None, 0))(self._parameters, x)
        return [row.flatten(2) for row in rows.values()]

    def _jacobian_row_by_row(self, x: Tensor) -> list[Tensor]:
        own = {n: p for n, p in self._network.named_parameters() if p.requires_grad}
        wanted = list(own.values())
        rows: list[list[Tensor]] = [[] for _ in wanted]
        with torch.enable_grad():
            for sample in x:
                outputs = self._network(sample[None]).flatten()
                for a, output in enumerate(outputs):
                    grads = torch.autograd.grad(
                        output, wanted, retain_graph=a + 1 < len(outputs), materialize_grads=True
                    )
                    for place, grad in enumerate(grads):
                        rows[place].append(grad.flatten())
        return [torch.stack(row).unflatten(0, (len(x), -1)) for row in rows]

    def _contracted(self, left: list[Tensor], right: list[Tensor]) -> Tensor:
        total: Tensor | None = None
        for one, two in zip(left, right, strict=True):
            if self._form == "full":
                found = (one.flatten(0, 1) @ two.flatten(0, 1).mT).unflatten(0, one.shape[:2])
                part = found.unflatten(2, two.shape[:2]).transpose(1, 2)
            elif self._form == "diagonal":
                part = (one.transpose(0, 1) @ two.permute(1, 2, 0)).permute(1, 2, 0)
            else:
                part = one.flatten(1) @ two.flatten(1).mT
            total = part if total is None else total + part
        assert total is not None
        return total

    def _products(self, left: Tensor, right: Tensor) -> Tensor:
        parameters, full = self._parameters, self._form == "full"

        def column(sample: Tensor, unit: Tensor) -> Tensor:
            pull = vjp(lambda p: self._outputs(p, sample[None])[0], parameters)[1]
            gradient = pull(unit)[0]
            found: Tensor = jvp(lambda p: self._outputs(p, left), (parameters,), (gradient,))[1]
            return found if full else (found * unit).sum(dim=1)

        with torch.no_grad():
            width = self._outputs(parameters, right[:1]).shape[1]
            units = torch.eye(width).to(left)
            every = vmap(vmap(column, in_dims=(None, 0)), in_dims=(0, None))(right, units)
        # every: (m, b, n, a), or (m, b, n)
        if full:
            return every.permute(2, 0, 3, 1)
        diagonal = every.permute(2, 0, 1)
        return diagonal if self._form == "diagonal" else diagonal.sum(dim=2)


def _count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def _has_forward_mode(network: nn.Module, x: Tensor) -> bool:
    try:
        with torch.no_grad():
            jvp(network, (x,), (torch.zeros_like(x),))
    except NotImplementedError:
        return False
    return True


def _check(
    network: nn.Module, x1: Tensor, x2: Tensor | None, form: str, method: str, chunk: int | None
) -> None:
    if not any(p.requires_grad for p in network.parameters()):
        found = type(network).__name__
        raise ValueError(f"network is {found} without trainable parameters; expected at least one")
    for name, part in network.named_modules():
        if isinstance(part, _BatchNorm) and part.training:
            raise ValueError(
                f"layer {name or 'itself'} is {type(part).__name__} in training; expected eval"
            )
    if x1.ndim < 2 or len(x1) == 0:
        raise ValueError(f"x1 has shape {tuple(x1.shape)}; expected (n, ...), at least one sample")
    if x2 is not None and (len(x2) == 0 or x2.shape[1:] != x1.shape[1:]):
        wanted = ", ".join(map(str, x1.shape[1:]))
        raise ValueError(f"x2 has shape {tuple(x2.shape)}; expected (m, {wanted}), as x1")
    for given, value, known in (
        ("form", form, ("full", "trace", "diagonal")),
        ("method", method, ("auto", "jacobian", "products", "autograd")),
    ):
        if value not in known:
            raise ValueError(f"{given} is {value!r}; expected {', '.join(known)}")
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk is {chunk}; expected at least 1")
