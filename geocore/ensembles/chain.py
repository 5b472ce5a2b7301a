"""Many members of a chain of simple layers as one program, in the layout (member, feature, sample).

Images have channel, row and column in the place of the feature until they are flattened
(``planes.py``). A product of all members is one batched product with the samples, the longest axis,
in the last place; what stands between is elementwise. That is 20 times a loop over members for
small networks, where nearly all of a step is the time that an operator takes to start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocore.ensembles.noise import shares, stochastic_layers
from geocore.ensembles.planes import by_plane, convolve, is_plain, maxima_first, pools, strides
from geocore.models.stochastic.layer import StochasticLayer

__all__ = ["Chain"]

_INDEPENDENT: dict[type[nn.Module], Callable[[Any, Tensor], Tensor]] = {
    nn.Identity: lambda layer, x: x,
    nn.ReLU: lambda layer, x: F.relu(x),
    nn.LeakyReLU: lambda layer, x: F.leaky_relu(x, layer.negative_slope),
    nn.ELU: lambda layer, x: F.elu(x, layer.alpha),
    nn.GELU: lambda layer, x: F.gelu(x, approximate=layer.approximate),
    nn.SiLU: lambda layer, x: F.silu(x),
    nn.Softplus: lambda layer, x: F.softplus(x, layer.beta, layer.threshold),
    nn.Sigmoid: lambda layer, x: x.sigmoid(),
    nn.Tanh: lambda layer, x: x.tanh(),
}
"""Layers that take each number by itself."""

_PRODUCTS = 2**17  # of a sample in a convolution, beyond which torch's own convolutions are faster


class Chain:
    """A network whose layers are known, one after the other, with every parameter stacked.

    ``widest`` is how many numbers of a sample its widest layer gives, about.
    """

    def __init__(self, model: nn.Module) -> None:
        self._layers = maxima_first(_flat(model, ""))
        self._stochastic = stochastic_layers(model)
        layers = [layer for _, layer in self._layers]
        self._images = _takes_images(layers)
        self.widest = _widest(layers, (_areas(layers) or ()) if self._images else ())

    @classmethod
    def of(cls, model: nn.Module) -> Chain | None:
        """The chain that ``model`` is, or None: an ``nn.Sequential`` of small convolutions and
        pooling, flattening after these or at its start, linear layers, stochastic ones among them,
        norms of a sample's features, and functions of each number.
        """
        if type(model) is not nn.Sequential or not _plain(model):
            return None
        layers = [layer for _, layer in _flat(model, "")]
        start = 0
        if _takes_images(layers):
            areas = _areas(layers)
            if areas is None or not all(map(_small, layers, areas)):
                return None
            start = len(areas)
        for place, layer in enumerate(layers[start:]):
            known = (
                type(layer) in _INDEPENDENT
                or type(layer) is nn.Linear
                or (isinstance(layer, StochasticLayer) and hasattr(layer, "stacked"))
                or (type(layer) is nn.LayerNorm and len(layer.normalized_shape) == 1)
                or (_flattens(layer) and place == 0)
            )
            if not known:
                return None
        return cls(model)

    def __call__(
        self, parameters: Mapping[str, Tensor], x: Tensor, noise: Tensor | None = None
    ) -> Tensor:
        """``x (members, batch, ...)`` -> ``(members, batch, outputs)``.

        ``parameters`` by name, ``(members, *shape)``; ``noise (members, batch, count)`` for the
        stochastic layers, in their order.
        """
        x = self._sample_last(x)
        drawn = iter(() if noise is None else shares(self._stochastic, noise))
        for place, (name, layer) in enumerate(self._layers):
            kind = type(layer)
            own = {
                key.removeprefix(name): value
                for key, value in parameters.items()
                if key.startswith(name)
            }
            if kind in _INDEPENDENT:
                x = _INDEPENDENT[kind](layer, x)
            elif isinstance(layer, StochasticLayer):
                x = layer.stacked(own, x, next(drawn))  # type: ignore[operator]
            elif isinstance(layer, nn.Linear):
                x = _linear(own, x)
            elif isinstance(layer, nn.LayerNorm):
                x = _layer_norm(layer, own, x)
            elif isinstance(layer, nn.Conv2d):
                x = convolve(layer, own, x, after=self._layers[place + 1][1])
            elif isinstance(layer, nn.Flatten):
                x = x.flatten(1, -2)
            else:
                x = by_plane(layer, x)
        return x.movedim(-1, 1)

    def _sample_last(self, x: Tensor) -> Tensor:
        if self._images:
            if x.ndim != 5:
                raise ValueError(
                    f"x has shape {tuple(x.shape)}; expected (members, batch, channels, height, "
                    "width)"
                )
            return x.movedim(1, -1).contiguous()
        if x.ndim > 3 and not _flattens(self._layers[0][1]):
            raise ValueError(
                f"x has shape {tuple(x.shape)}; expected (members, batch, features), or a "
                "network that flattens"
            )
        return x.reshape(*x.shape[:2], -1).mT


def _linear(own: Mapping[str, Tensor], x: Tensor) -> Tensor:
    if "bias" not in own:
        return own["weight"] @ x
    return torch.baddbmm(own["bias"][..., None], own["weight"], x)


def _layer_norm(layer: nn.LayerNorm, own: Mapping[str, Tensor], x: Tensor) -> Tensor:
    x = F.layer_norm(x.mT, layer.normalized_shape, eps=layer.eps).mT
    if "weight" in own:
        x = x * own["weight"][..., None]
    return x + own["bias"][..., None] if "bias" in own else x


def _plain(model: nn.Module) -> bool:
    """Whether its layers' parameters are all trained, none is shared, and nothing hooks in."""
    names = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    return (
        len(names) == len(list(model.parameters()))
        and all(p.requires_grad for p in model.parameters())
        and all(name.rpartition(".")[2] in ("weight", "bias") for name in names)
        and not any(
            layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks
            for layer in model.modules()
        )
    )


def _takes_images(layers: Sequence[nn.Module]) -> bool:
    """Whether the first layer that is no function of each number convolves or pools."""
    first = next((layer for layer in layers if type(layer) not in _INDEPENDENT), None)
    return first is not None and (type(first) is nn.Conv2d or pools(first))


def _small(layer: nn.Module, area: int) -> bool:
    """Whether a layer of images is known, and worth to be one program."""
    if type(layer) in _INDEPENDENT or pools(layer):
        return True
    return is_plain(layer) and next(layer.parameters()).numel() * area <= _PRODUCTS


def _areas(layers: Sequence[nn.Module]) -> list[int] | None:
    """Rows times columns that come out of each layer before the flattening one, about.

    A network knows the size of its images only by how many numbers it flattens. None if it does
    not flatten them.
    """
    end = next((place for place, layer in enumerate(layers) if _flattens(layer)), None)
    channels = [layer.out_channels for layer in layers[:end] if isinstance(layer, nn.Conv2d)]
    weights = [p for layer in layers[end:] for p in layer.parameters() if p.ndim > 1]
    if end is None or not channels or not weights:
        return None
    area = max(1, weights[0].shape[-1] // channels[-1])
    found = []
    for layer in reversed(layers[:end]):
        found.append(area)
        area *= strides(layer)
    return found[::-1]


def _widest(layers: Sequence[nn.Module], areas: Sequence[int]) -> int:
    """Numbers of a sample that come out of the widest layer."""
    found = [max(p.shape) for layer in layers for p in layer.parameters() if p.ndim]
    for layer, area in zip(layers, areas, strict=False):
        if isinstance(layer, nn.Conv2d):
            found.append(layer.out_channels * area)
    return max(found)


def _flattens(layer: nn.Module) -> bool:
    return type(layer) is nn.Flatten and layer.start_dim == 1 and layer.end_dim == -1


def _flat(model: nn.Module, prefix: str) -> list[tuple[str, nn.Module]]:
    """The layers of nested chains in order, each with the prefix of its parameters' names."""
    if type(model) is not nn.Sequential:  # a subclass may do something else
        return [(prefix, model)]
    return [
        pair
        for name, layer in model._modules.items()  # a layer may stand at two places
        for pair in _flat(layer, f"{prefix}{name}.")
    ]
