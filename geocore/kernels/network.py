"""Infinitely wide networks, by neural-tangents: a fully connected one and a HEALPix hierarchy.

Every affine layer has the NTK parametrisation, ``z = s W h / sqrt(fan_in) + b v`` with entries of
``W`` and ``v`` drawn from N(0, 1), ``s`` the weight and ``b`` the bias standard deviation. As the
width grows, outputs at initialisation become a Gaussian process with the NNGP kernel K, and the
tangent kernel of training becomes the constant Theta. Layer by layer, from ``K = x . x' / n`` and
``Theta = 0``::

    affine       K <- s^2 <K> + b^2               Theta <- K_new + s^2 <Theta>
    activation   K <- E[f(u) f(v)]                Theta <- E[f'(u) f'(v)] Theta

``<.>`` is the mean over what the layer sums over: nothing more in a dense layer, the 4 pixels of a
patch, all tokens after a flattening. ``(u, v)`` is Gaussian with the covariance that K gives.
Sources: Lee et al., arXiv:1711.00165; Jacot et al., arXiv:1806.07572.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from geocore.compat import import_neural_tangents

__all__ = ["Architecture", "infinite_network"]

_ACTIVATIONS = ("relu", "erf", "gelu")
_NETWORKS = ("dense", "healpix")
_PATCH = 4  # nested pixels 4t, ..., 4t + 3 are the children of pixel t of the next coarser map


@dataclass(frozen=True)
class Architecture:
    """What decides a network but for its width.

    ``dense``: ``depth`` hidden layers on the flattened input, and a linear read-out.

    ``healpix``: the hierarchy of ``geocore.models.healpix_encoder`` on nested maps, where a face
    is a quadtree: ``depth`` levels, each joining 4 neighbours to a token by a convolution that all
    tokens share; then a hidden layer over all tokens, in which the faces meet, and a linear
    read-out. Patches do not overlap and the read-out is dense, so that the kernel needs no
    covariance between different tokens. (Hence whether tokens share their weights makes no
    difference in this limit.)

    Raises ``ValueError`` for what there is not.
    """

    network: Literal["dense", "healpix"]
    depth: int
    activation: Literal["relu", "erf", "gelu"]
    weight_std: float
    bias_std: float

    def __post_init__(self) -> None:
        if self.network not in _NETWORKS:
            raise ValueError(f"network is {self.network!r}; expected one of {', '.join(_NETWORKS)}")
        if self.activation not in _ACTIVATIONS:
            expected = ", ".join(_ACTIVATIONS)
            raise ValueError(f"activation is {self.activation!r}; expected one of {expected}")
        if self.depth < 1:
            raise ValueError(f"depth is {self.depth}; expected at least 1")
        if not self.weight_std > 0 or not self.bias_std >= 0:
            found = f"{self.weight_std} and {self.bias_std}"
            raise ValueError(
                f"weight_std and bias_std are {found}; expected above 0, and 0 or more"
            )

    def as_input(self, maps: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """``(n, pixels, channels)`` in the layout that the network takes, float64.

        ``healpix`` takes a patch's values as channels, ``(n, pixels / 4, 4 channels)``: its first
        level is then a map of each token's channels, with a quarter of the pairs of pixels to hold.
        Raises ``ValueError`` for maps that ``depth`` levels of patches do not fit.
        """
        values = np.asarray(maps, dtype=np.float64)
        if values.ndim != 3 or 0 in values.shape:
            raise ValueError(f"maps has shape {values.shape}; expected (n, pixels, channels)")
        if self.network == "dense":
            return values
        n, pixels, channels = values.shape
        if pixels % _PATCH**self.depth:
            raise ValueError(
                f"maps has {pixels} pixels; expected a multiple of 4^{self.depth}, as the network "
                f"has {self.depth} levels of patches"
            )
        return np.ascontiguousarray(values.reshape(n, pixels // _PATCH, _PATCH * channels))


def infinite_network(architecture: Architecture, *, width: int = 1, outputs: int = 1) -> Any:
    """The triple ``(init, apply, kernel)`` of neural-tangents.

    ``kernel(x, x', get=("nngp", "ntk"))`` knows no width; ``init`` and ``apply`` are the finite
    twin, with ``width`` channels or units in every hidden layer. Inputs as ``as_input`` gives them.
    Raises ``UserError`` where neural-tangents is not installed.
    """
    stax: ModuleType = import_neural_tangents().stax
    std = {"W_std": architecture.weight_std, "b_std": architecture.bias_std}
    activation = {"relu": stax.Relu, "erf": stax.Erf, "gelu": stax.Gelu}[architecture.activation]
    hidden = [stax.Dense(width, **std), activation()]
    if architecture.network == "dense":
        layers = [stax.Flatten(), *hidden * architecture.depth]
    else:
        layers = [
            layer
            for level in range(architecture.depth)
            for layer in (_join(stax, width, _PATCH if level else 1, std), activation())
        ]
        layers += [stax.Flatten(), *hidden]
    return stax.serial(*layers, stax.Dense(outputs, **std))


def _join(stax: ModuleType, width: int, patch: int, std: dict[str, float]) -> Any:
    """Each ``patch`` neighbouring tokens become one: a convolution whose stride is its filter."""
    numbers = ("NHC", "HIO", "NHC")  # one spatial axis, the nested index
    return stax.Conv(width, (patch,), (patch,), "VALID", dimension_numbers=numbers, **std)
