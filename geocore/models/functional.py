"""A module as a function of its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

from torch import Tensor, nn
from torch.func import functional_call

__all__ = ["Functional"]


class Functional:
    """``f(theta, x)``: what ``network`` gives with ``theta``, by name, for its own parameters.

    As ``torch.func.functional_call``, which leaves a network spoilt in which one layer stands at
    two places: a layer's number is exchanged once, whatever names it has. ``theta`` may hold some
    of the parameters and buffers; what is shared may go by any of its names.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.names: dict[str, int] = {}  # every name, and which number it names
        self._places: dict[int, list[str]] = {}  # once a layer
        for name, value in chain(
            network.named_parameters(remove_duplicate=False),
            network.named_buffers(remove_duplicate=False),
        ):
            self.names[name] = id(value)
        for path, layer in network.named_modules():
            own = chain(
                layer.named_parameters(recurse=False, remove_duplicate=False),
                layer.named_buffers(recurse=False, remove_duplicate=False),
            )
            for local, value in own:
                place = f"{path}.{local}" if path else local
                self._places.setdefault(id(value), []).append(place)

    def trainable(self) -> dict[str, Tensor]:
        """The parameters that learn, each once, out of autograd's sight."""
        named = self.network.named_parameters()
        return {name: p.detach() for name, p in named if p.requires_grad}

    def aliases(self, name: str) -> list[str]:
        """All names of what ``name`` names."""
        return [other for other, number in self.names.items() if number == self.names[name]]

    def __call__(self, parameters: Mapping[str, Tensor], x: Tensor) -> Tensor:
        exchanged = {
            place: value
            for name, value in parameters.items()
            for place in self._places[self.names[name]]
        }
        out: Tensor = functional_call(self.network, exchanged, (x,), tie_weights=False)
        return out
