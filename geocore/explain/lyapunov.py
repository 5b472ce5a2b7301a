"""Finite-time Lyapunov exponents of a feed-forward network, and its stretching directions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.func import jvp, vjp, vmap

from geocore.explain.chain import RowSpace, chain_jacobian, is_chain, row_space
from geocore.explain.hidden import HiddenMap
from geocore.explain.power import leading

__all__ = ["Exponents", "Method", "growth", "jacobian", "lyapunov_exponents"]

Method = Literal["auto", "chain", "gram", "power", "svd"]

_NUMBERS = 1 << 19  # of the Jacobians that are made at once, unless a chunk is named
_DEEP = 16  # layers from which on a chain is taken layer by layer, its size apart
_WHOLE = 64  # the shorter side up to which a whole Jacobian is cheaper than products with it


@dataclass(frozen=True)
class Exponents:
    """The largest exponent of each input, and where it points; ``...`` is ``members`` or nothing.

    ``largest (..., batch)`` is ``lambda = (1/L) log s_1`` with ``s_1`` the largest singular value
    of ``J_L``: minus infinity where ``J_L`` is 0. ``direction (..., batch, *input)`` is its
    right-singular vector, of norm 1, whose largest component is positive: a direction has no sign.
    ``residual (..., batch)`` is ``|J^T J v - s^2 v| / s^2``: 0 but for the method ``power``.
    """

    largest: Tensor
    direction: Tensor
    residual: Tensor
    depth: int

    @property
    def total(self) -> Tensor:
        """``L lambda = log s_1``: how a small distance grows from input to last hidden layer."""
        return self.depth * self.largest


def lyapunov_exponents(
    hidden: HiddenMap,
    x: Tensor,
    parameters: Mapping[str, Tensor] | None = None,
    *,
    method: Method = "auto",
    chunk: int | None = None,
    block: int = 4,
    tolerance: float = 1e-4,
    iterations: int = 100,
    seed: int = 0,
) -> Exponents:
    """``lambda(x) = (1/L) log s_1(J_L(x))`` and the stretching direction ``v_1(x)``.

    ``x (batch, *input)`` of floats; stacked ``parameters (members, *shape)`` by name are those of
    the members of an ensemble, all at once, and put ``members`` in front of what comes back. At
    most ``chunk`` inputs are looked at together (by itself: as many as fit caches hold).

    Methods: ``chain``, the explicit product of a chain's layers, in the span of the first one's
    rows where that is narrower than the inputs; ``gram``, the whole Jacobian from its shorter side
    by Jacobian-vector or vector-Jacobian products, and the eigenvalues of ``J^T J`` or ``J J^T``;
    ``power``, iterations of a ``block`` of vectors with both products, until the ``residual`` is at
    most ``tolerance`` or after so many ``iterations``, started from ``seed``; ``svd``, the
    reference. ``auto`` takes the first of the first three that suits, of chains of more than 16
    layers always ``chain``: it alone carries the Jacobian's size as a log. The others multiply
    through all layers: where products leave the range of the dtype (float32: below 1e-45) they give
    minus infinity or raise.

    Raises ``ValueError`` for an empty batch, inputs that are not finite, other methods, and what
    ``HiddenMap.placed`` refuses; ``TypeError`` for inputs that are no floats. Source: Storm et al.,
    arXiv:2306.12548.
    """
    _check(x, method, chunk)
    given = hidden.placed(parameters)
    members = len(next(iter(given.values()))) if given else 1
    inputs = math.prod(x.shape[1:])
    width = hidden(x[:1], {name: value[0] for name, value in given.items()}).shape[1]
    side = min(inputs, width)
    chain = is_chain(hidden)
    space = row_space(hidden, given) if chain else None
    columns = inputs if space is None else space.axes.shape[-1]
    if method == "auto":
        whole = side <= _WHOLE
        method = "power" if not whole else "gram"
        if chain and ((whole and columns <= 2 * width) or hidden.depth > _DEEP):
            method = "chain"
    tangents, longest = side, max(inputs, width)
    if method == "power":
        tangents = max(1, block)
    elif method == "chain":
        tangents, longest = columns, max(columns, width)
    if chunk is None:
        chunk = max(1, _NUMBERS // (members * tangents * longest))
    parts = []
    for some in x.split(chunk):
        if method == "power":
            found = _by_power(hidden, some, given, (block, tolerance, iterations, seed))
        else:
            found = _by_jacobian(hidden, some, given, method, space)
        parts.append(found)
    log_s, direction, residual = (torch.cat(p, dim=1) for p in zip(*parts, strict=True))
    direction = direction.unflatten(-1, x.shape[1:])
    if not given:
        log_s, direction, residual = log_s[0], direction[0], residual[0]
    return Exponents(log_s / hidden.depth, direction, residual, hidden.depth)


def growth(
    hidden: HiddenMap, x: Tensor, direction: Tensor, parameters: Mapping[str, Tensor] | None = None
) -> Tensor:
    """``(1/L) log (|J_L v| / |v|)``: the exponent along a direction, at most the largest one.

    ``x`` and ``direction (batch, *input)`` -> ``(batch,)``, or ``(members, batch)`` with stacked
    ``parameters``. Raises ``ValueError`` for unlike shapes.
    """
    if x.shape != direction.shape:
        found = f"{tuple(x.shape)} and {tuple(direction.shape)}"
        raise ValueError(f"x and direction have shapes {found}; expected one")
    given = hidden.placed(parameters)
    unit = direction / direction.flatten(1).norm(dim=1).view(-1, *[1] * (x.ndim - 1))

    def pushed(own: dict[str, Tensor]) -> Tensor:
        with torch.no_grad():
            found: Tensor = jvp(lambda at: hidden(at, own), (x,), (unit,))[1]
            out: Tensor = found.norm(dim=1).log() / hidden.depth
        return out

    return _over_members(pushed, given) if given else pushed({})


def jacobian(
    hidden: HiddenMap, x: Tensor, parameters: Mapping[str, Tensor] | None = None
) -> Tensor:
    """``J_L (batch, hidden, inputs)`` by automatic differentiation; ``members`` in front of it.

    From its shorter side: forward for few inputs, backward for few hidden units. Samples do not
    depend on each other, so that a product with the batch's Jacobian is one with each sample's.
    """
    given = hidden.placed(parameters)
    inputs = math.prod(x.shape[1:])

    def whole(own: dict[str, Tensor]) -> Tensor:
        def f(at: Tensor) -> Tensor:
            return hidden(at, own)

        width = f(x[:1]).shape[1]
        if inputs <= width:
            basis = torch.eye(inputs).to(x).view(inputs, 1, *x.shape[1:])
            forward: Tensor = vmap(lambda v: jvp(f, (x,), (v.expand_as(x),))[1])(basis)
            return forward.permute(1, 2, 0)
        pull = vjp(f, x)[1]
        rows: Tensor = vmap(lambda u: pull(u.expand(len(x), width))[0])(torch.eye(width).to(x))
        return rows.flatten(2).transpose(0, 1)

    with torch.no_grad():
        return _over_members(whole, given) if given else whole({})


def _by_jacobian(
    hidden: HiddenMap, x: Tensor, given: dict[str, Tensor], method: str, space: RowSpace | None
) -> tuple[Tensor, Tensor, Tensor]:
    with torch.no_grad():
        if method == "chain":
            matrix, log_scale = chain_jacobian(hidden, x, given, space)
        else:
            matrix = jacobian(hidden, x, given)
            log_scale = matrix.new_zeros(matrix.shape[:-2])
        if not given:
            matrix, log_scale = matrix[None], log_scale[None]
        if method == "svd":
            _, values, right = torch.linalg.svd(matrix, full_matrices=False)
            log_s, direction = values[..., 0].log(), right[..., 0, :]
        else:
            log_s, direction = _from_gram(matrix)
        if method == "chain" and space is not None:
            direction = direction @ space.axes.mT
        return log_s + log_scale, _signed(direction), torch.zeros_like(log_s)


def _from_gram(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """``log s_1`` and ``v_1`` by the eigenvalues of the smaller of ``J^T J`` and ``J J^T``.

    Squares double the exponents' range: matrices are scaled to a largest entry of 1 before.
    """
    size = matrix.abs().amax(dim=(-2, -1))
    scaled = matrix / torch.where(size > 0, size, torch.ones_like(size))[..., None, None]
    wide = matrix.shape[-1] > matrix.shape[-2]
    gram = scaled @ scaled.mT if wide else scaled.mT @ scaled
    values, vectors = torch.linalg.eigh(gram)
    found = vectors[..., -1]
    if wide:
        found = (scaled.mT @ found[..., None])[..., 0]
        found = found / found.norm(dim=-1, keepdim=True).clamp(min=torch.finfo(found.dtype).tiny)
    return values[..., -1].clamp(min=0).log() / 2 + size.log(), found


def _by_power(
    hidden: HiddenMap, x: Tensor, given: dict[str, Tensor], how: tuple[int, float, int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    members = len(next(iter(given.values()))) if given else 1
    found = [
        leading(lambda at, own=own: hidden(at, own), x, *how)  # type: ignore[misc]
        for own in ({name: value[m] for name, value in given.items()} for m in range(members))
    ]
    values, vectors, residuals = (torch.stack(parts) for parts in zip(*found, strict=True))
    return values.log(), _signed(vectors), residuals


def _over_members(f: Callable[[dict[str, Tensor]], Tensor], given: dict[str, Tensor]) -> Tensor:
    found: Tensor = vmap(f)(given)
    return found


def _signed(direction: Tensor) -> Tensor:
    """With the component of largest modulus positive."""
    largest = direction.gather(-1, direction.abs().argmax(-1, keepdim=True))
    return torch.where(largest < 0, -direction, direction)


def _check(x: Tensor, method: str, chunk: int | None) -> None:
    if not x.is_floating_point():
        raise TypeError(f"x is {x.dtype}; expected floats")
    if x.ndim < 2 or x.numel() == 0:
        raise ValueError(f"x has shape {tuple(x.shape)}; expected (batch, ...), at least one")
    if not bool(x.isfinite().all()):
        found = x[~x.isfinite()][0].item()
        raise ValueError(f"x is {found} at some place; expected finite numbers")
    if method not in ("auto", "chain", "gram", "power", "svd"):
        raise ValueError(f"method is {method!r}; expected auto, chain, gram, power or svd")
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk is {chunk}; expected at least 1")
