"""The public test kit: the field's two central properties, each in one line of a test.

``assert_equivariant``: a function commutes with a group. ``assert_parity``: a fast path and its
readable reference give the same values and gradients.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

__all__ = ["Group", "assert_equivariant", "assert_parity"]


class Group(Protocol):
    """Elements to iterate over, and how each acts: ``geocore.healpix.QuarterTurns`` is one."""

    def __iter__(self) -> Iterator[Any]: ...

    def act(self, element: Any, x: Tensor, /) -> Tensor:
        """``g x``."""
        ...


def assert_equivariant(
    fn: Callable[[Any], Any],
    group: Group,
    x: Any,
    atol: float,
    rtol: float = 0.0,
    act_out: Callable[[Any, Tensor], Tensor] | Literal["invariant"] | None = None,
) -> None:
    """``fn(g x) = g fn(x)`` for every ``g`` of the group, entry by entry.

    An entry may differ by ``atol + rtol |g fn(x)|``. ``fn`` is a function or a module, ``x`` a
    tensor; both its input and its output may also be tuples, lists or dicts of tensors, on each of
    which the group acts. ``act_out(g, y)`` is the action on the output: that of the group by
    default, ``"invariant"`` if the law is ``fn(g x) = fn(x)``.

    Raises ``AssertionError`` that names the element, the largest deviation, where it is and the
    tolerance. NaN is a deviation. Raises ``ValueError`` for what would be true of nothing: a group
    without elements, an output without numbers. Modules run in the mode that they are in: a
    network with dropout wants ``eval()`` first.

    >>> from geocore.healpix import QuarterTurns
    >>> maps = torch.rand(2, 12 * 4**2, 3, dtype=torch.float64)
    >>> assert_equivariant(torch.relu, QuarterTurns(4), maps, atol=0)
    >>> mean = lambda maps: maps.mean(dim=1)
    >>> assert_equivariant(mean, QuarterTurns(4), maps, atol=1e-14, act_out="invariant")
    """
    on_output = group.act if act_out is None else act_out
    plain = fn(_map(x, Tensor.clone))  # fn may work in place
    worst: _Deviation | None = None
    failed, elements = [], 0
    for element in group:
        elements += 1
        turned = fn(_map(x, partial(_acted, group.act, element)))
        expected = plain
        if on_output != "invariant":
            expected = _map(plain, partial(on_output, element))
        found = _compare(turned, expected, "output", "fn(g x)", "g fn(x)", atol, rtol)
        if found.fails:
            failed.append(element)
            if worst is None or found.excess > worst.excess:
                worst, at = found, element
    if elements == 0:
        raise ValueError("group has no elements; expected at least one")
    if worst is not None:
        name = getattr(group, "name", type(group).__name__)
        law = "fn(x)" if act_out == "invariant" else "g fn(x)"
        raise AssertionError(
            f"fn(g x) is not {law} for g = {at} of {name}: {worst.told(atol, rtol)}; "
            f"{len(failed)} of {elements} elements fail"
        )


def assert_parity(
    fast: Callable[..., Any],
    reference: Callable[..., Any],
    *inputs: Any,
    atol: float,
    rtol: float = 0.0,
    gradients: bool = True,
    reference_dtype: torch.dtype | None = None,
) -> None:
    """``fast(*inputs) = reference(*inputs)``, and so are the gradients in every float input.

    An entry may differ by ``atol + rtol |reference|``. Inputs and outputs are tensors or tuples,
    lists or dicts of them; other inputs are handed on as they are. The gradients are those of
    ``sum(w * output)`` with fixed random ``w``; a path that does not depend on an input has
    gradient zero there, so a detached fast path is found.

    ``reference_dtype=torch.float64`` gives the reference its float inputs in that type; a module
    (or the method of one) is copied and converted as well. Raises ``AssertionError`` that names the
    output or the input's gradient, the largest deviation, where it is and the tolerance, and
    ``ValueError`` if there is nothing to compare.

    >>> rows = torch.rand(3, 5)
    >>> naive = lambda rows: rows.exp().sum(dim=1).log()
    >>> fast = lambda rows: rows.logsumexp(dim=1)
    >>> assert_parity(fast, naive, rows, atol=1e-6, reference_dtype=torch.float64)
    """
    if reference_dtype is not None:
        reference = _converted(reference, reference_dtype)
    mine = _fresh(inputs, None, gradients)
    theirs = _fresh(inputs, reference_dtype, gradients)
    found, expected = fast(*mine), reference(*theirs)
    deviation = _compare(found, expected, "output", "fast", "reference", atol, rtol)
    if deviation.fails:
        raise AssertionError(f"fast is not reference: {deviation.told(atol, rtol)}")
    if not gradients:
        return
    mine_there, theirs_there = _gradients(found, mine), _gradients(expected, theirs)
    compared = 0
    for path, gradient in mine_there.items():
        there = [g for g in (gradient, theirs_there[path]) if g is not None]
        if not there:
            continue
        compared += 1
        zero = torch.zeros_like(there[0])
        one, other = (zero if g is None else g for g in (gradient, theirs_there[path]))
        what = f"gradient in input {path}"
        deviation = _compare(one, other, what, "fast", "reference", atol, rtol)
        if deviation.fails:
            missing = " (fast has no gradient there)" if gradient is None else ""
            raise AssertionError(f"fast is not reference: {deviation.told(atol, rtol)}{missing}")
    if compared == 0:
        raise ValueError("no output depends on a float input; expected one, or gradients=False")


def _acted(act: Callable[[Any, Tensor], Tensor], element: Any, x: Tensor) -> Tensor:
    return act(element, x.clone())


@dataclass(frozen=True)
class _Deviation:
    """The entry that is furthest beyond its tolerance, or the closest to it."""

    excess: float
    size: float
    place: str
    found: Any
    expected: Any

    @property
    def fails(self) -> bool:
        return self.excess > 0

    def told(self, atol: float, rtol: float) -> str:
        allowed = f"atol {atol:g}" + (f" + rtol {rtol:g}" if rtol else "")
        return (
            f"they differ by {self.size:.3g} at {self.place} "
            f"({self.found:.9g} and {self.expected:.9g}); expected at most {allowed}"
        )


def _compare(
    found: Any, expected: Any, what: str, left: str, right: str, atol: float, rtol: float
) -> _Deviation:
    """The worst entry of two trees of tensors; ``AssertionError`` if they are built otherwise."""
    mine, theirs = dict(_outputs(found, what)), dict(_outputs(expected, what))
    if mine.keys() != theirs.keys():
        raise AssertionError(
            f"{left} gives {', '.join(mine) or 'nothing'}; "
            f"expected {', '.join(theirs) or 'nothing'} as {right} does"
        )
    entries = []
    for path, value in mine.items():
        other = theirs[path]
        if value.shape != other.shape:
            raise AssertionError(
                f"{left} has shape {tuple(value.shape)} at {path}; "
                f"expected {tuple(other.shape)} as {right} has"
            )
        if value.numel():
            entries.append(_worst(value.detach(), other.detach(), path, atol, rtol))
    if not entries:
        raise ValueError(f"{what} has no numbers; expected at least one to compare")
    return max(entries, key=lambda entry: entry.excess)


def _worst(found: Tensor, expected: Tensor, path: str, atol: float, rtol: float) -> _Deviation:
    wide = torch.complex128 if found.is_complex() or expected.is_complex() else torch.float64
    a, b = found.to(wide).cpu(), expected.to(wide).cpu()
    size = torch.where(a == b, 0.0, (a - b).abs())  # an infinity equals itself
    # Whatever is no number has deviated as far as can be.
    excess = torch.where(size.isfinite(), size - (atol + rtol * b.abs()), torch.inf)
    index = torch.unravel_index(excess.argmax(), excess.shape)
    place = f"[{', '.join(str(int(axis)) for axis in index)}]" if index else ""
    return _Deviation(
        float(excess[index]), float(size[index]), path + place, a[index].item(), b[index].item()
    )


def _outputs(value: Any, path: str) -> Iterator[tuple[str, Tensor]]:
    """What a function gave: tensors and numbers in tuples, lists and dicts, with their paths."""
    for place, leaf in _walk(value, path):
        if not isinstance(leaf, (Tensor, bool, int, float, complex)):
            raise TypeError(f"{place} is {type(leaf).__name__}; expected tensors or numbers")
        yield place, torch.as_tensor(leaf)


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from _walk(entry, f"{path}[{key!r}]")
    elif isinstance(value, (tuple, list)):
        for number, entry in enumerate(value):
            yield from _walk(entry, f"{path}[{number}]")
    elif value is not None:
        yield path, value


def _map(value: Any, change: Callable[[Tensor], Any]) -> Any:
    """``change`` on every tensor; whatever else there is stays."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: _map(entry, change) for key, entry in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_map(entry, change) for entry in value))
    if isinstance(value, (tuple, list)):
        return type(value)(_map(entry, change) for entry in value)
    return value


def _is_float(value: Tensor) -> bool:
    return value.is_floating_point() or value.is_complex()


def _fresh(inputs: tuple[Any, ...], dtype: torch.dtype | None, gradients: bool) -> tuple[Any, ...]:
    """Copies that neither path can change for the other, ready to be differentiated in."""

    def copied(value: Tensor) -> Tensor:
        value = value.detach().clone()
        if not _is_float(value):
            return value
        if dtype is not None:
            value = value.to(dtype.to_complex() if value.is_complex() else dtype)
        return value.requires_grad_(gradients)

    fresh: tuple[Any, ...] = _map(inputs, copied)
    return fresh


def _converted(reference: Callable[..., Any], dtype: torch.dtype) -> Callable[..., Any]:
    if isinstance(reference, nn.Module):
        return copy.deepcopy(reference).to(dtype)
    owner = getattr(reference, "__self__", None)
    if isinstance(owner, nn.Module):
        method: Callable[..., Any] = getattr(copy.deepcopy(owner).to(dtype), reference.__name__)
        return method
    return reference


def _gradients(outputs: Any, inputs: tuple[Any, ...]) -> dict[str, Tensor | None]:
    """The gradient of ``sum(w * output)`` in each float input, None where there is none."""
    wanted = [
        (path, leaf)
        for number, entry in enumerate(inputs)
        for path, leaf in _walk(entry, str(number))
        if isinstance(leaf, Tensor) and _is_float(leaf)
    ]
    generator = torch.Generator().manual_seed(0)
    probed, weights = [], []
    for _, leaf in _outputs(outputs, "output"):
        if not _is_float(leaf):
            continue
        # Drawn whether or not it is used: both paths must be probed alike.
        weight = torch.randn(leaf.shape, generator=generator, dtype=torch.float64)
        if leaf.requires_grad:
            probed.append(leaf)
            weights.append(weight.to(leaf))
    if not probed or not wanted:
        return dict.fromkeys(path for path, _ in wanted)
    found = torch.autograd.grad(probed, [leaf for _, leaf in wanted], weights, allow_unused=True)
    return {path: gradient for (path, _), gradient in zip(wanted, found, strict=True)}
