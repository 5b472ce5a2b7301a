"""Magnitude pruning: the smallest weights become zero while a network learns, and stay zero."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from geocore.edge.float_graph import FloatGraph
from geocore.edge.quantisers import QuantisedWeights

__all__ = ["KeptZeros", "MagnitudePruning", "PolynomialSchedule", "Pruning", "sparsity"]


@dataclass(frozen=True)
class PolynomialSchedule:
    """``s(t) = s_f + (s_i - s_f) (1 - (t - t_0) / (t_1 - t_0))^3`` from step ``t_0`` to ``t_1``.

    ``s_i`` is ``initial`` and ``s_f`` ``final``, shares of the weights; before ``start`` nothing is
    pruned and from ``end`` on it is ``s_f``. Zhu and Gupta, arXiv:1710.01878, equation 1. Raises
    ``ValueError`` for shares outside ``0 <= initial <= final < 1`` and for an end before the start.
    """

    initial: float
    final: float
    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.initial <= self.final < 1:
            raise ValueError(
                f"initial is {self.initial} and final {self.final}; "
                "expected 0 <= initial <= final < 1"
            )
        if not 0 <= self.start <= self.end:
            raise ValueError(
                f"start is {self.start} and end {self.end}; expected 0 <= start <= end"
            )

    def __call__(self, step: int) -> float:
        """The share at a step."""
        if step < self.start:
            return 0.0
        if step >= self.end:
            return self.final
        left = 1 - (step - self.start) / (self.end - self.start)
        return self.final + (self.initial - self.final) * left**3


class Pruning:
    """Zeros that are set after each step of an optimiser, the same ones from ``settled`` on."""

    settled: int = 0

    def apply(self, step: int) -> None:
        """Set them, after ``step`` steps."""
        raise NotImplementedError


class MagnitudePruning(Pruning):
    """Of each layer, or of all together, the share ``schedule(step)`` of smallest magnitude is 0.

    The layers are the convolutions and linear maps of ``model``, float or quantised, but for those
    in ``skip`` (the names that ``model.named_modules()`` gives, or nodes of a quantised network).
    With ``scope`` ``layer`` each has ``round(s n)`` zeros of its ``n`` weights, with ``global``
    all together have. What is zero stays zero. Raises ``ValueError`` for a name that is none and
    for binary weights, which have no zero.
    """

    def __init__(
        self,
        model: nn.Module,
        schedule: PolynomialSchedule,
        *,
        scope: Literal["layer", "global"] = "layer",
        skip: Collection[str] = (),
    ) -> None:
        found = _weights(model)
        if unknown := sorted(set(skip) - set(found)):
            raise ValueError(f"skip has {unknown[0]}; expected some of {', '.join(found)}")
        if scope not in ("layer", "global"):
            raise ValueError(f"scope is {scope!r}; expected layer or global")
        _no_binary(model, set(found) - set(skip))
        self._weights = [weight for name, weight in found.items() if name not in skip]
        self._masks = [torch.ones_like(weight, dtype=torch.bool) for weight in self._weights]
        self._schedule, self._scope = schedule, scope
        self.settled = schedule.end

    def apply(self, step: int) -> None:
        """As the schedule says of ``step``."""
        share = self._schedule(step)
        with torch.no_grad():
            self._masks = _beside(self._masks, self._weights)
            for weight, mask in zip(self._weights, self._masks, strict=True):
                weight.mul_(mask)  # first: what the optimiser has moved off zero is no weight
            sizes = [weight.abs().flatten() for weight in self._weights]
            if self._scope == "global":
                kept = _largest(torch.cat(sizes), share).split([len(size) for size in sizes])
            else:
                kept = tuple(_largest(size, share) for size in sizes)
            for weight, mask, flat in zip(self._weights, self._masks, kept, strict=True):
                mask.logical_and_(flat.reshape(mask.shape))
                weight.mul_(mask)


class KeptZeros(Pruning):
    """The weights that are zero now stay zero: a pruned network's, while it is quantised.

    Biases learn on. Raises ``ValueError`` for zeros among binary weights, which have none.
    """

    def __init__(self, model: nn.Module) -> None:
        found = _weights(model)
        _no_binary(model, [name for name, weight in found.items() if not bool(weight.all())])
        self._weights = list(found.values())
        self._masks = [weight.detach() != 0 for weight in self._weights]

    def apply(self, step: int) -> None:
        """At any step."""
        del step
        self._masks = _beside(self._masks, self._weights)
        with torch.no_grad():
            for weight, mask in zip(self._weights, self._masks, strict=True):
                weight.mul_(mask)


def sparsity(graph: FloatGraph) -> float:
    """The share of a graph's weights that are zero."""
    zeros = sum(int((node.weight == 0).sum()) for node in graph.weighted)
    return zeros / sum(node.weight.numel() for node in graph.weighted)


def _weights(model: nn.Module) -> dict[str, nn.Parameter]:
    """By the layer's path, or by the node's name in a quantised network."""
    found: dict[str, nn.Parameter] = {}
    inner = {id(layer.layer) for layer in model.modules() if isinstance(layer, QuantisedWeights)}
    for path, layer in model.named_modules():
        if isinstance(layer, QuantisedWeights):
            found[path.removeprefix("weights.")] = layer.layer.weight
        elif isinstance(layer, nn.Conv2d | nn.Linear) and id(layer) not in inner:
            weight = layer.weight
            assert isinstance(weight, nn.Parameter)
            found[path] = weight
    return found


def _no_binary(model: nn.Module, names: Collection[str]) -> None:
    for path, layer in model.named_modules():
        name = path.removeprefix("weights.")
        if isinstance(layer, QuantisedWeights) and layer.bits == "binary" and name in names:
            raise ValueError(f"{name} has binary weights, without a zero; expected ternary")


def _beside(masks: list[Tensor], weights: list[nn.Parameter]) -> list[Tensor]:
    """The masks on the weights' device: a training may have moved the network since."""
    return [mask.to(weight.device) for mask, weight in zip(masks, weights, strict=True)]


def _largest(sizes: Tensor, share: float) -> Tensor:
    """Where the sizes are that stay, when the smallest ``round(share n)`` go; ties by place."""
    gone = torch.argsort(sizes, stable=True)[: round(share * len(sizes))]
    kept = torch.ones_like(sizes, dtype=torch.bool)
    kept[gone] = False
    return kept
