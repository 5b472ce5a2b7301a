"""Networks on maps of the sphere, of infinite width: a fully connected one, a HEALPix hierarchy.

They are composed of the layers of ``geocore.kernels.layers`` as any other: their kernels, their
finite twins and their translation to neural-tangents (``geocore.kernels.stax``) come with that.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from geocore.kernels.composed import InfiniteNetwork, serial
from geocore.kernels.convolution import Convolution
from geocore.kernels.layers import Dense, Erf, Flatten, Gelu, Layer, Relu

__all__ = ["Activation", "dense_inputs", "dense_network", "healpix_inputs", "healpix_network"]

Activation = Literal["relu", "erf", "gelu"]
_ACTIVATIONS: dict[str, type[Layer]] = {"relu": Relu, "erf": Erf, "gelu": Gelu}
_PATCH = 4  # nested pixels 4t, ..., 4t + 3 are the children of pixel t of the next coarser map


def dense_network(
    depth: int, activation: Activation, *, weight_std: float = 1.0, bias_std: float = 0.0
) -> InfiniteNetwork:
    """``depth`` hidden layers on vectors, and a linear read-out.

    Raises ``ValueError`` for a depth below 1, an activation that there is not, and standard
    deviations that are none.
    """
    hidden = _hidden(depth, activation, weight_std, bias_std)
    return serial(*hidden * depth, hidden[0])


def healpix_network(
    depth: int, activation: Activation, *, weight_std: float = 1.0, bias_std: float = 0.0
) -> InfiniteNetwork:
    """The hierarchy of ``geocore.models.healpix_encoder`` on nested maps, ``healpix_inputs``.

    A face is a quadtree: ``depth`` levels, each joining 4 neighbours to a token by a convolution
    that all tokens share, of the nested index with a stride of its filter; then a hidden layer over
    all tokens, in which the faces meet, and a linear read-out. Patches do not overlap and the
    read-out is dense, so that the kernel needs no covariance between different tokens. (Hence
    whether tokens share their weights makes no difference in this limit.) Raises ``ValueError`` as
    ``dense_network`` does.
    """
    hidden = _hidden(depth, activation, weight_std, bias_std)
    join = Convolution(
        (1, _PATCH), stride=_PATCH, padding="valid", weight_std=weight_std, bias_std=bias_std
    )
    return serial(*[join, hidden[1]] * depth, Flatten(), *hidden, hidden[0])


def dense_inputs(maps: Tensor) -> Tensor:
    """``(n, pixels, channels)`` as vectors ``(n, pixels channels)``, for ``dense_network``."""
    _require_maps(maps)
    return maps.flatten(1)


def healpix_inputs(maps: Tensor, depth: int) -> Tensor:
    """``(n, pixels, channels)`` as ``(n, channels, 1, pixels)``, for ``healpix_network``.

    Raises ``ValueError`` for maps that ``depth`` levels of patches do not fit.
    """
    _require_maps(maps)
    pixels = maps.shape[1]
    if pixels % _PATCH**depth:
        raise ValueError(
            f"maps has {pixels} pixels; expected a multiple of 4^{depth}, as the network has "
            f"{depth} levels of patches"
        )
    return maps.transpose(1, 2)[:, :, None].contiguous()


def _hidden(depth: int, activation: str, weight_std: float, bias_std: float) -> list[Layer]:
    if activation not in _ACTIVATIONS:
        expected = ", ".join(_ACTIVATIONS)
        raise ValueError(f"activation is {activation!r}; expected one of {expected}")
    if depth < 1:
        raise ValueError(f"depth is {depth}; expected at least 1")
    return [Dense(weight_std=weight_std, bias_std=bias_std), _ACTIVATIONS[activation]()]


def _require_maps(maps: Tensor) -> None:
    if maps.ndim != 3 or 0 in maps.shape:
        raise ValueError(f"maps has shape {tuple(maps.shape)}; expected (n, pixels, channels)")
