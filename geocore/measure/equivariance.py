"""How far a function is from f(g x) = g f(x), relative to g f(x): whole, and layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor

__all__ = ["equivariance_error", "layer_errors", "relative_error"]

Action = Callable[[Tensor], Tensor]


def relative_error(found: Tensor, expected: Tensor) -> Tensor:
    """``||found - expected|| / ||expected||``, a sample each; L2 over all axes but the first.

    Two tensors of one shape ``(batch, ...)`` -> ``(batch,)`` float64, summed in float64. Where
    ``expected`` vanishes the error is 0 if ``found`` vanishes too and infinite otherwise. Values
    that are not finite give NaN or infinity. Raises ``ValueError`` for other shapes.
    """
    if found.shape != expected.shape or found.ndim == 0:
        shapes = f"{tuple(found.shape)} and {tuple(expected.shape)}"
        raise ValueError(f"found and expected have shapes {shapes}; expected one, (batch, ...)")
    wide = torch.complex128 if found.is_complex() or expected.is_complex() else torch.float64
    reference = expected.to(wide)
    length, off = _norm(reference), _norm(found.to(wide) - reference)
    return torch.where((off == 0) & (length == 0), 0.0, off / length)


def equivariance_error(
    fn: Callable[[Tensor], Tensor],
    x: Tensor,
    act: Action,
    act_out: Action | Literal["invariant"] | None = None,
) -> Tensor:
    """``||f(g x) - g f(x)|| / ||g f(x)||`` of one group element, a sample each.

    ``act`` is the element's action on ``x (batch, ...)``; ``act_out`` that on the output: the same
    by default, ``"invariant"`` if ``f(g x) = f(x)`` is the law. Returns ``(batch,)`` float64, with
    ``relative_error``'s convention for a vanishing output.
    """
    on_output = act if act_out is None else act_out
    plain = fn(x)
    expected = plain if on_output == "invariant" else on_output(plain)
    return relative_error(fn(act(x)), expected)


def layer_errors(
    turned: Mapping[str, Tensor], plain: Mapping[str, Tensor], act: Action
) -> dict[str, Tensor]:
    """The equivariance error of every layer, from what each gave: ``turned`` for ``g x``, ``plain``
    for ``x``.

    Maps ``(batch, tokens, channels)``, of whatever resolution, are acted on by ``act``; vectors
    ``(batch, channels)`` are taken to be invariant. One trace of ``x`` serves all group elements.
    Returns a ``(batch,)`` error a layer, float64, in the order of ``plain``.
    """
    if turned.keys() != plain.keys():
        found = ", ".join(sorted(turned.keys() ^ plain.keys()))
        raise ValueError(f"turned and plain differ in the layers {found}; expected the same layers")
    return {
        name: relative_error(turned[name], act(value) if value.ndim > 2 else value)
        for name, value in plain.items()
    }


def _norm(values: Tensor) -> Tensor:
    # One axis more, so that a batch of numbers has an axis to be summed over.
    axes = tuple(range(1, values.ndim + 1))
    norm: Tensor = torch.linalg.vector_norm(values[..., None], dim=axes)
    return norm
