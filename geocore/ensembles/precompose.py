"""How a group moves the numbers of a sample, read off its action, and networks composed with it.

``f_g(x) = rho_out(g)^-1 f(rho_in(g) x)`` is built in two ways, the same function of ``x``: with
``rho_in(g)`` as a layer without parameters in front of any network (``Composed``), or in the
weights, ``W rho_in(g)`` for the first linear layer and ``rho_out(g)^-1 V`` for the last
(``compose_weights``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Composed", "FixedMap", "carried", "end_layers", "read_map"]

_MOST = 2048  # numbers of a sample: above it a map that is no permutation is not read as a matrix
_CLOSE = 1e-9  # float64: what tells a permutation or an orthogonal matrix from anything else


class FixedMap(nn.Module):
    """``y_i = s_i x_{p_i}``, or ``y = R x`` with an orthogonal ``R``, on a sample's flat numbers.

    A layer without parameters, ``(batch, *shape)`` to the same; ``index (size,)`` int64, ``sign``
    ``(size,)`` int8 where not all are +1, or ``matrix (size, size)`` float64, are buffers.
    """

    index: Tensor | None
    sign: Tensor | None
    matrix: Tensor | None

    def __init__(
        self, index: Tensor | None = None, sign: Tensor | None = None, matrix: Tensor | None = None
    ) -> None:
        super().__init__()
        if (index is None) == (matrix is None):
            raise ValueError("index and matrix are both given or both missing; expected one")
        self.register_buffer("index", index)
        self.register_buffer("sign", sign)
        self.register_buffer("matrix", matrix)

    @property
    def permutes(self) -> bool:
        """Whether it is a signed permutation."""
        return self.index is not None

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        if self.matrix is not None:
            return (flat @ self.matrix.to(flat.dtype).T).reshape(x.shape)
        moved = flat[:, self.index]
        return (moved if self.sign is None else moved * self.sign).reshape(x.shape)

    def inverse(self) -> FixedMap:
        """The map that undoes it: the transpose."""
        if self.index is None:
            assert self.matrix is not None
            return FixedMap(matrix=self.matrix.T.contiguous())
        back = self.index.argsort()
        return FixedMap(back, None if self.sign is None else self.sign[back])

    @staticmethod
    def alike(maps: Sequence[FixedMap]) -> list[FixedMap]:
        """The same maps with the same kinds of buffers: matrices if one is, signs if one has -1."""
        if not all(fixed.permutes for fixed in maps):
            return [FixedMap(matrix=fixed._as_matrix()) for fixed in maps]
        signed = any(fixed.sign is not None and bool((fixed.sign < 0).any()) for fixed in maps)
        return [FixedMap(fixed.index, fixed.sign if signed else None) for fixed in maps]

    def _as_matrix(self) -> Tensor:
        if self.matrix is not None:
            return self.matrix
        assert self.index is not None
        unit = torch.eye(len(self.index), dtype=torch.float64, device=self.index.device)
        return self.forward(unit).T.contiguous()


def read_map(act: Callable[[Tensor], Tensor], shape: tuple[int, ...], name: str) -> FixedMap:
    """The map ``act`` on samples of ``shape``, exactly: a signed permutation, else a matrix.

    ``act`` takes ``(batch, *shape)`` in float64. Raises ``ValueError`` that begins with ``name``
    for what changes the shape, is not linear, or is not orthogonal, as an interpolation is not.
    """
    size = torch.Size(shape).numel()

    def acted(rows: Tensor) -> Tensor:
        moved = act(rows.reshape(-1, *shape).clone())
        if moved.shape != (len(rows), *shape):
            found, expected = tuple(moved.shape), (len(rows), *shape)
            raise ValueError(f"{name} gives shape {found}; expected that of its input, {expected}")
        return moved.reshape(len(rows), size)

    probe = torch.randn(1, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    moved = acted(probe)
    numbered = acted(torch.arange(1, size + 1, dtype=torch.float64)[None])[0]
    place = numbered.abs().round().long() - 1
    if bool((place.sort().values == torch.arange(size)).all()):
        found = FixedMap(place, numbered.sign().to(torch.int8))
        if _close(found(probe), moved):
            return found
    # A linear map keeps the length of a random vector if it keeps that of all, almost surely.
    change = float(moved.norm() / probe.norm())
    if not abs(change - 1) <= _CLOSE:
        raise ValueError(
            f"{name} changes a sample's length by a factor of {change:.3f}; expected an orthogonal "
            "action (one that interpolates is no representation)"
        )
    if size > _MOST:
        raise ValueError(
            f"{name} mixes the {size} numbers of a sample; expected a signed permutation of them, "
            f"or at most {_MOST}"
        )
    matrix = acted(torch.eye(size, dtype=torch.float64)).T.contiguous()
    found = FixedMap(matrix=matrix)
    if not _close(found(probe), moved):
        raise ValueError(f"{name} is not linear; expected an orthogonal action")
    return found


class Composed(nn.Module):
    """``back(body(front(x)))`` with two fixed maps: the parameters are those of ``body``."""

    def __init__(self, front: FixedMap, body: nn.Module, back: FixedMap | None) -> None:
        super().__init__()
        self.front, self.body, self.back = front, body, back

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(self.front(x))
        return out if self.back is None else self.back(out)


def end_layers(model: nn.Module, x: Tensor, last: bool) -> tuple[str, str | None]:
    """The names of the linear layer that reads ``x``, flat, and (if ``last``) of the one whose
    flat output is the model's.

    Both are looked for by running the model. Raises ``ValueError`` that names the layer that was
    found instead.
    """
    calls: list[tuple[str, nn.Module, Any, Any]] = []
    opened: list[tuple[str, nn.Module, Any]] = []

    def before(name: str) -> Callable[..., None]:
        return lambda module, inputs: opened.append((name, module, inputs[0] if inputs else None))

    def after(name: str) -> Callable[..., None]:
        return lambda module, inputs, out: calls.append((name, module, None, out))

    learning = [
        (name, module)
        for name, module in model.named_modules()
        if any(True for _ in module.parameters(recurse=False))
    ]
    hooks = [module.register_forward_pre_hook(before(name)) for name, module in learning]
    hooks += [module.register_forward_hook(after(name)) for name, module in learning]
    try:
        with torch.no_grad():
            out = model(x)
    finally:
        for hook in hooks:
            hook.remove()
    if not opened:
        raise ValueError("build gives a model without parameters; expected a first linear layer")
    first, layer, seen = opened[0]
    _check_end("first", first, layer, seen, x)
    if not last:
        return first, None
    name, layer, _, seen = calls[-1]
    _check_end("last", name, layer, seen, out)
    return first, name


def carried(
    weights: dict[str, Tensor],
    first: str,
    last: str | None,
    front: FixedMap,
    back: FixedMap | None,
) -> dict[str, Tensor]:
    """``W rho_in(g)`` of the first layer, ``rho_out(g)^-1 V`` and ``rho_out(g)^-1 b`` of the last.

    ``weights`` are a model's parameters by name, ``front`` is ``rho_in(g)``, ``back`` is
    ``rho_out(g)^-1``; whatever else there is stays. The map of the weights is orthogonal.
    """
    new = dict(weights)
    key = _named(first, "weight")
    # Row w of W rho is rho^T w: the inverse, on the rows as samples.
    new[key] = front.inverse()(new[key])
    if last is not None and back is not None:
        key, shift = _named(last, "weight"), _named(last, "bias")
        new[key] = back(new[key].T.contiguous()).T.contiguous()
        if shift in new:
            new[shift] = back(new[shift][None])[0]
    return new


def _check_end(which: str, name: str, layer: nn.Module, seen: Any, wanted: Tensor) -> None:
    told = f"the {which} layer with parameters is {type(layer).__name__} {name!r}"
    way = "expected a linear one, or compose='input'"
    if not isinstance(layer, nn.Linear) or "weight" not in dict(
        layer.named_parameters(recurse=False)
    ):
        raise ValueError(f"{told}; {way}")
    if not isinstance(seen, Tensor) or seen.ndim != 2 or not torch.equal(seen, wanted.flatten(1)):
        there = "reads the flat input" if which == "first" else "gives the flat output"
        raise ValueError(f"{told}, which is not what {there}; {way}")


def _named(layer: str, parameter: str) -> str:
    return f"{layer}.{parameter}" if layer else parameter


def _close(found: Tensor, expected: Tensor) -> bool:
    scale = float(expected.abs().max().clamp(min=1))
    return bool(((found - expected).abs() <= _CLOSE * scale).all())
