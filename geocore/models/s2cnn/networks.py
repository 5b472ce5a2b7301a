"""S2CNNs: a classifier that no rotation changes, a segmenter that turns with its input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from geocore.models.grid_input import check_samples
from geocore.models.initial import initialise
from geocore.models.s2cnn.activation import ActivationName, GridName, SO3Activation, second_moment
from geocore.models.s2cnn.convolution import S2Convolution, SO3Convolution
from geocore.models.s2cnn.kernels import KernelGrid, s2_kernel_grid, so3_kernel_grid
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

__all__ = ["Layout", "S2CNNClassifier", "S2CNNSegmenter"]


@dataclass(frozen=True)
class Layout:
    """What an S2CNN is made of: its layers, their kernels, what stands between them.

    ``features`` and ``bandlimits`` are those of the layers on SO(3), the first of which lifts from
    the sphere. A kernel reaches ``min(pi, reach pi / b)`` from the identity, where ``b`` is the
    bandlimit of the layer before; 6.19 is the published one for every layer. ``activation`` is a
    function on a grid ``oversampling`` times finer, or ``"tensor_product"``. ``norm`` stands after
    each convolution. ``recompute`` saves memory for time (``SO3Activation``).

    ``orders`` (one entry a layer) keeps the orders ``|n| < orders[i]`` in the last angle alone:
    signals of a few directions at each point of a sphere (``steered.py``), many times cheaper. Then
    ``bandlimits`` must not grow, and nothing is recomputed.
    """

    bandlimit: int
    features: tuple[int, ...]
    bandlimits: tuple[int, ...]
    activation: ActivationName | Literal["tensor_product"] = "relu"
    oversampling: float = 2.0
    sampling: GridName = "driscoll-healy"
    norm: Literal["none", "sample", "channel"] = "none"
    kernel: Literal["distinct", "published"] = "distinct"
    points: tuple[int, int, int] = (8, 3, 8)
    reach: float = 6.19
    recompute: bool = False
    orders: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not self.features or len(self.features) != len(self.bandlimits):
            found = f"{len(self.features)} and {len(self.bandlimits)} entries"
            raise ValueError(f"features and bandlimits have {found}; expected as many, at least 1")
        for name in ("features", "bandlimits"):
            if min(getattr(self, name)) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected positive integers")
        if self.bandlimit < 1:
            raise ValueError(f"bandlimit is {self.bandlimit}; expected a positive integer")
        if self.norm not in ("none", "sample", "channel"):
            raise ValueError(f"norm is {self.norm!r}; expected 'none', 'sample' or 'channel'")
        if self.orders is not None:
            self._check_orders(self.orders)

    def _check_orders(self, orders: tuple[int, ...]) -> None:
        bands = self.bandlimits
        if len(orders) != len(bands):
            raise ValueError(f"orders has {len(orders)} entries; expected {len(bands)}")
        # What a layer reads of the one before must hold its orders.
        if any(not 1 <= n <= b for n, b in zip(orders, [*bands[1:], bands[-1]], strict=True)):
            raise ValueError(f"orders is {orders}; expected 1 to the bandlimit that the next reads")
        if any(later > earlier for earlier, later in pairwise([self.bandlimit, *bands])):
            raise ValueError(f"bandlimits is {bands} with orders; expected none to grow")
        if self.activation == "tensor_product":
            raise ValueError("activation is 'tensor_product' with orders; expected a function")
        if self.recompute:
            raise ValueError("recompute is True with orders; expected False")

    @classmethod
    def published_segmenter(cls) -> Layout:
        """The segmentation network of 2202.03990: 204,073 parameters with 11 classes."""
        return cls(
            bandlimit=50,
            features=(11, 12, 13, 14, 13, 12, 11),
            bandlimits=(42, 35, 27, 20, 27, 35, 42),
            kernel="published",
            oversampling=1.0,
        )

    def s2_kernel(self) -> KernelGrid:
        return s2_kernel_grid(self._max_beta(self.bandlimit), *self.points[:2])

    def so3_kernel(self, bandlimit: int) -> KernelGrid:
        return so3_kernel_grid(self._max_beta(bandlimit), *self.points, grid=self.kernel)

    @property
    def gain(self) -> float:
        """What a convolution makes up for of the activation before it."""
        if self.activation == "tensor_product":
            return 1.0
        return 1 / second_moment(self.activation)

    @property
    def function(self) -> ActivationName:
        """The activation where it is a function of the values."""
        if self.activation == "tensor_product":
            raise ValueError("activation is 'tensor_product'; expected a function")
        return self.activation

    def _max_beta(self, bandlimit: int) -> float:
        return min(math.pi, self.reach * math.pi / bandlimit)


class _S2CNN(nn.Module):
    """Samples -> coefficients -> the layers on SO(3), each with its norm and activation."""

    def __init__(self, layout: Layout, channels: int, last: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.layout, self.channels = layout, channels
        if layout.orders is not None:
            self._steer(layout.orders, last, dtype)
            return
        self.analysis = S2Transform(layout.bandlimit, "driscoll-healy", dtype=dtype)
        bands, features = layout.bandlimits, layout.features
        # Of an activation, the degrees that the next layer reads.
        read = [min(one, two) for one, two in pairwise([*bands, last])]
        layers: list[nn.Module] = [
            S2Convolution(
                channels, features[0], layout.bandlimit, bands[0], layout.s2_kernel(), dtype=dtype
            )
        ]
        layers += self._between(0, read[0], dtype)
        for i in range(1, len(bands)):
            kernel = layout.so3_kernel(bands[i - 1])
            sizes = (features[i - 1], features[i], read[i - 1], bands[i])
            layers.append(SO3Convolution(*sizes, kernel, gain=layout.gain, dtype=dtype))
            layers += self._between(i, read[i], dtype)
        self.layers = nn.Sequential(*layers)

    def _steer(self, orders: tuple[int, ...], last: int, dtype: torch.dtype) -> None:
        """The same layers on signals of few orders."""
        layout = self.layout
        bands, features, plain = layout.bandlimits, layout.features, layout.norm == "none"
        self.analysis = S2Transform(
            bands[0], "driscoll-healy", sampling=layout.bandlimit, dtype=dtype
        )
        read = [*bands[1:], min(last, bands[-1])]
        layers: list[nn.Module] = []
        for i, (band, order, width) in enumerate(zip(bands, orders, features, strict=True)):
            activation = SteeredActivation(
                layout.function, (band, read[i]), (order, min(order, read[i])),
                oversampling=layout.oversampling, grid=layout.sampling, dtype=dtype,
            )  # fmt: skip
            norm = None if plain else SteeredNorm(width, band, layout.norm, dtype=dtype)
            if not i:
                sizes = (self.channels, width, band, order)
                lift = SteeredLift(*sizes, layout.s2_kernel(), bias=plain, dtype=dtype)
                layers.append(LiftedActivation(lift, norm, activation))
                continue
            inner = (features[i - 1], width, band, (orders[i - 1], order))
            kernel = layout.so3_kernel(bands[i - 1])
            layers.append(
                SteeredConvolution(*inner, kernel, bias=plain, gain=layout.gain, dtype=dtype)
            )
            layers += [activation] if norm is None else [norm, activation]
        self.layers = nn.Sequential(*layers)

    def _between(self, i: int, out: int, dtype: torch.dtype) -> list[nn.Module]:
        layout = self.layout
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
