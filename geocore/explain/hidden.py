"""The part of a feed-forward network whose Jacobian is looked at: up to its last hidden layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from geocore.models.functional import Functional

__all__ = ["HiddenMap"]

_WEIGHED = (nn.Linear, _ConvNd)


class _ReachedError(Exception):
    """The hidden layer has been computed: what comes after it need not be."""

    def __init__(self, value: Tensor) -> None:
        self.value = value


class HiddenMap:
    """``x -> x^(L)``, the activations of the last hidden layer; ``depth`` is L.

    Of an ``nn.Sequential`` (chains of chains too) it is all before the last linear map or
    convolution, and L counts those that are left. Of any other module ``layer`` names the part
    whose output it is, and ``depth`` says what L is; what the network does after that part is not
    computed. Samples may not depend on each other.

    ``network`` takes ``(batch, ...)``. Raises ``ValueError`` for a network without a hidden layer,
    for a name that is none of its parts, for a depth below 1, and for batch norm in training.
    """

    def __init__(
        self, network: nn.Module, *, layer: str | None = None, depth: int | None = None
    ) -> None:
        for name, part in network.named_modules():
            if isinstance(part, _BatchNorm) and part.training:
                raise ValueError(
                    f"layer {name or 'itself'} is {type(part).__name__} in training; expected eval"
                )
        self.network = network
        self._layer = layer
        self._call = Functional(network)
        self.chain: list[tuple[str, nn.Module]] | None = None
        if layer is None:
            if not isinstance(network, nn.Sequential):
                found = type(network).__name__
                raise ValueError(f"network is {found}; expected nn.Sequential, or layer and depth")
            self.chain = _before_read_out(network)
            self._parts = {name: Functional(part) for name, part in self.chain}
            counted = sum(isinstance(part, _WEIGHED) for _, part in self.chain)
            depth = counted if depth is None else depth
        elif layer not in dict(network.named_modules()) or not layer:
            raise ValueError(f"layer is {layer!r}; expected the name of a part of the network")
        if depth is None or depth < 1:
            raise ValueError(f"depth is {depth}; expected at least 1, the layers up to {layer!r}")
        self.depth = depth

    def __call__(self, x: Tensor, parameters: Mapping[str, Tensor] | None = None) -> Tensor:
        """``(batch, ...)`` -> ``(batch, hidden)``; with ``parameters``, by name, for its own."""
        if self.chain is None:
            return self._caught(x, parameters or {})
        for name, part in self.chain:
            if parameters:
                own = {
                    key.removeprefix(f"{name}."): value
                    for key, value in parameters.items()
                    if key.startswith(f"{name}.")
                }
                x = self._parts[name](own, x)
            else:
                x = part(x)
        return x.flatten(1)

    def placed(self, parameters: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
        """Stacked ``parameters (members, *shape)`` under every name that they have.

        Raises ``ValueError`` for a name that it has not, other shapes, and unequal numbers of
        members.
        """
        found: dict[str, Tensor] = {}
        for name, value in (parameters or {}).items():
            if name not in self._call.names:
                raise ValueError(f"parameters has {name!r}; expected names of the network's own")
            layer, _, local = name.rpartition(".")
            own = getattr(self.network.get_submodule(layer), local)
            if value.ndim == 0 or value.shape[1:] != own.shape:
                shape, wanted = tuple(value.shape), ", ".join(map(str, own.shape))
                raise ValueError(f"{name} has shape {shape}; expected (members, {wanted})")
            found |= dict.fromkeys(self._call.aliases(name), value)
        counts = {len(value) for value in found.values()}
        if len(counts) > 1:
            raise ValueError(f"parameters are of {sorted(counts)} members; expected one number")
        return found

    def _caught(self, x: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        def reached(module: nn.Module, inputs: Any, output: Tensor) -> None:
            raise _ReachedError(output)

        assert self._layer is not None
        handle = self.network.get_submodule(self._layer).register_forward_hook(reached)
        try:
            self._call(parameters, x)
        except _ReachedError as found:
            return found.value.flatten(1)
        finally:
            handle.remove()
        raise ValueError(f"layer is {self._layer!r}, which the network does not use; expected one")


def _before_read_out(network: nn.Sequential) -> list[tuple[str, nn.Module]]:
    parts = list(_flat(network, ""))
    weighed = [place for place, (_, part) in enumerate(parts) if isinstance(part, _WEIGHED)]
    if len(weighed) < 2:
        found = len(weighed)
        raise ValueError(f"network has {found} linear layers; expected a hidden one and a read-out")
    return parts[: weighed[-1]]


def _flat(network: nn.Sequential, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    for name, part in network._modules.items():  # a layer may stand at two places
        if isinstance(part, nn.Sequential):
            yield from _flat(part, f"{prefix}{name}.")
        elif part is not None:
            yield f"{prefix}{name}", part
