"""How many bits a quantised network spends, in all and layer by layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Bits", "LayerBits", "WeightBits"]

WeightBits = int | Literal["binary", "ternary"]
_LEAST, _MOST = 2, 16


@dataclass(frozen=True)
class LayerBits:
    """What one node has instead of the others' bits: of its weights, of what it gives; or none."""

    weights: WeightBits | None = None
    activations: int | None = None

    def __post_init__(self) -> None:
        if self.weights is not None:
            _weights("weights", self.weights)
        if self.activations is not None:
            _whole("activations", self.activations, _LEAST)


@dataclass(frozen=True)
class Bits:
    """Bits of weights, of what the layers give, and of the images.

    ``weights`` are 2 to 16 bits, signed and symmetric, or ``ternary``, ``{-1, 0, 1} 2^-f``, or
    ``binary``, ``{-1, 1} 2^-f``. ``activations``, 2 to 16, are unsigned after a ReLU and signed
    elsewhere; ``inputs``, 1 to 16, are unsigned. ``layers`` are other bits of single nodes by their
    names. Raises ``ValueError`` for anything else.
    """

    weights: WeightBits
    activations: int
    inputs: int = 8
    layers: Mapping[str, LayerBits] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        _weights("weights", self.weights)
        _whole("activations", self.activations, _LEAST)
        _whole("inputs", self.inputs, 1)

    def weights_of(self, name: str) -> WeightBits:
        """Of that node's weights."""
        own = self.layers.get(name, LayerBits()).weights
        return self.weights if own is None else own

    def activations_of(self, name: str) -> int:
        """Of what that node gives."""
        own = self.layers.get(name, LayerBits()).activations
        return self.activations if own is None else own

    def require(self, names: Iterable[str]) -> None:
        """Raise ``ValueError`` for a layer that is none of a network's nodes."""
        known = list(names)
        for name in self.layers:
            if name not in known:
                raise ValueError(f"layers has {name}; expected one of {', '.join(known)}")


def _weights(name: str, value: Any) -> None:
    if value in ("binary", "ternary"):
        return
    if isinstance(value, str):
        raise ValueError(f"{name} is {value!r}; expected binary, ternary or bits")
    _whole(name, value, _LEAST)


def _whole(name: str, value: Any, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= _MOST:
        raise ValueError(f"{name} is {value!r}; expected {least} to {_MOST} bits")
