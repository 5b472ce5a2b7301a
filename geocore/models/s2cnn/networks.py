"""S2CNNs: a classifier that no rotation changes, a segmenter that turns with its input."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from geocore.models.grid_input import check_samples
from geocore.models.initial import initialise
from geocore.models.s2cnn.activation import SO3Activation
from geocore.models.s2cnn.convolution import S2Convolution, SO3Convolution
from geocore.models.s2cnn.layout import Layout
from geocore.models.s2cnn.norm import EquivariantNorm
from geocore.models.s2cnn.pooling import SO3Invariant, SO3ToS2
from geocore.models.s2cnn.steered import SteeredActivation, from_steered
from geocore.models.s2cnn.steered_layers import (
    LiftedActivation,
    SteeredConvolution,
    SteeredLift,
    SteeredNorm,
)
from geocore.models.s2cnn.tensor_product import TensorProduct
from geocore.so3.s2_transform import S2Transform

__all__ = ["S2CNNClassifier", "S2CNNSegmenter"]


class _S2CNN(nn.Module):
    """Samples -> coefficients -> the layers on SO(3), each with its norm and activation."""

    def __init__(self, layout: Layout, channels: int, last: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.layout, self.channels = layout, channels
        # With few orders, of the input the degrees alone that the first layer reads.
        band = layout.bandlimit if layout.orders is None else layout.bandlimits[0]
        self.analysis = S2Transform(band, "driscoll-healy", sampling=layout.bandlimit, dtype=dtype)
        if layout.orders is None:
            self.layers = nn.Sequential(*_layers(layout, channels, last, dtype))
        else:
            self.layers = nn.Sequential(*_steered(layout, layout.orders, channels, last, dtype))

    def features(self, x: Tensor) -> Tensor:
        """``(batch, 2b, 2b, channels)`` -> coefficients on SO(3) after the last activation."""
        check_samples(x, self.layout.bandlimit, self.channels)
        coefficients = self.analysis(x.movedim(-1, 1))
        found: Tensor = self.layers(coefficients)
        return found if self.layout.orders is None else from_steered(found)


class S2CNNClassifier(_S2CNN):
    """``logits(R f) = logits(f)``: samples ``(batch, 2b, 2b, channels)`` -> ``(batch, classes)``.

    Samples on the Driscoll-Healy grid of bandlimit ``layout.bandlimit``. A convolution to SO(3),
    more on SO(3), an activation after each; the Haar integral of every channel; linear layers with
    ReLU, of widths ``hidden`` and ``classes``. All is exact but the activations, which are as exact
    as their grids (``activation.py``), and the input, if it holds more than its bandlimit.

    Raises ``ValueError`` for samples of another shape.
    """

    def __init__(
        self,
        layout: Layout,
        channels: int = 1,
        classes: int = 10,
        hidden: Sequence[int] = (),
        seed: int = 0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        # Of the last activation only the constant part is read.
        super().__init__(layout, channels, 1, dtype)
        widths = [layout.features[-1], *hidden, classes]
        maps: list[nn.Module] = [SO3Invariant()]
        for i in range(len(widths) - 1):
            maps += [nn.ReLU()] if i else []
            maps.append(nn.Linear(widths[i], widths[i + 1], dtype=dtype))
        self.head = nn.Sequential(*maps)
        initialise(self, seed)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits


class S2CNNSegmenter(_S2CNN):
    """``logits(R f) = R logits(f)``: ``(batch, 2b, 2b, channels)`` -> ``(batch, 2b, 2b, classes)``.

    The layers of ``S2CNNClassifier``, then ``SO3ToS2`` back to the bandlimit of the input, and the
    samples of what it gives. ``Layout.published_segmenter()`` has 204,073 parameters.

    Raises ``ValueError`` for samples of another shape.
    """

    def __init__(
        self,
        layout: Layout,
        channels: int = 1,
        classes: int = 11,
        seed: int = 0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(layout, channels, layout.bandlimit, dtype)
        band = min(layout.bandlimits[-1], layout.bandlimit)
        # Not ``analysis``: that may hold the degrees alone that the first layer reads.
        self.synthesis = S2Transform(layout.bandlimit, "driscoll-healy", dtype=dtype)
        sizes = (layout.features[-1], classes, band, layout.bandlimit)
        kernel = layout.so3_kernel(layout.bandlimits[-1])
        self.to_sphere = SO3ToS2(*sizes, kernel, gain=layout.gain, dtype=dtype)
        initialise(self, seed)

    def forward(self, x: Tensor) -> Tensor:
        coefficients: Tensor = self.to_sphere(self.features(x))
        return self.synthesis.inverse(coefficients).movedim(1, -1)


def _layers(layout: Layout, channels: int, last: int, dtype: torch.dtype) -> list[nn.Module]:
    """On all orders; ``last`` is how many degrees are read of the last activation."""
    bands, features = layout.bandlimits, layout.features
    # Of an activation, the degrees that the next layer reads.
    read = [min(one, two) for one, two in pairwise([*bands, last])]
    lift = (channels, features[0], layout.bandlimit, bands[0], layout.s2_kernel())
    layers: list[nn.Module] = [S2Convolution(*lift, dtype=dtype)]
    layers += _between(layout, 0, read[0], dtype)
    for i in range(1, len(bands)):
        kernel = layout.so3_kernel(bands[i - 1])
        sizes = (features[i - 1], features[i], read[i - 1], bands[i])
        layers.append(SO3Convolution(*sizes, kernel, gain=layout.gain, dtype=dtype))
        layers += _between(layout, i, read[i], dtype)
    return layers


def _between(layout: Layout, i: int, out: int, dtype: torch.dtype) -> list[nn.Module]:
    channels, band = layout.features[i], layout.bandlimits[i]
    between: list[nn.Module] = []
    if layout.norm != "none":
        between.append(EquivariantNorm(channels, layout.norm, dtype=dtype))
    if layout.activation == "tensor_product":
        between.append(TensorProduct(channels, channels, band, out, dtype=dtype))
    else:
        between.append(
            SO3Activation(
                layout.activation,
                band,
                out,
                oversampling=layout.oversampling,
                grid=layout.sampling,
                recompute=layout.recompute,
                dtype=dtype,
            )
        )
    return between


def _steered(
    layout: Layout, orders: tuple[int, ...], channels: int, last: int, dtype: torch.dtype
) -> list[nn.Module]:
    """The same layers on signals of few orders."""
    bands, features, plain = layout.bandlimits, layout.features, layout.norm == "none"
    read = [*bands[1:], min(last, bands[-1])]
    layers: list[nn.Module] = []
    for i, (band, order, width) in enumerate(zip(bands, orders, features, strict=True)):
        activation = SteeredActivation(
            layout.function, (band, read[i]), (order, min(order, read[i])),
            oversampling=layout.oversampling, grid=layout.sampling, dtype=dtype,
        )  # fmt: skip
        norm = None if plain else SteeredNorm(width, band, layout.norm, dtype=dtype)
        if not i:
            sizes = (channels, width, band, order)
            lift = SteeredLift(*sizes, layout.s2_kernel(), bias=plain, dtype=dtype)
            layers.append(LiftedActivation(lift, norm, activation))
            continue
        inner = (features[i - 1], width, band, (orders[i - 1], order))
        kernel = layout.so3_kernel(bands[i - 1])
        layers.append(SteeredConvolution(*inner, kernel, bias=plain, gain=layout.gain, dtype=dtype))
        layers += [activation] if norm is None else [norm, activation]
    return layers
