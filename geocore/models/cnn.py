"""Planar convolutional networks on the grid of a sphere, blind to what the sphere is.

They see the longitude-latitude grid as an image: no padding, no wrap-around, no weights of area.
The segmentation networks are those that S2CNN is measured against in Gerken et al., Equivariance
versus Augmentation for Spherical Images (2202.03990).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocore.config.model import CnnParams
from geocore.data.tabletype import TableType
from geocore.errors import UserError
from geocore.models.grid_input import check_samples, grid_of
from geocore.models.initial import initialise

__all__ = ["PUBLISHED", "Cnn", "PlanarClassifier", "PlanarSegmenter", "Planes"]


@dataclass(frozen=True)
class Planes:
    """The convolutions of the way down: channels, kernel edge and stride of each."""

    features: tuple[int, ...]
    kernels: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self) -> None:
        lengths = {len(self.features), len(self.kernels), len(self.strides)}
        if len(lengths) != 1 or 0 in lengths:
            found = f"{len(self.features)}, {len(self.kernels)} and {len(self.strides)}"
            raise ValueError(f"features, kernels, strides have lengths {found}; expected one, >= 1")
        for name in ("features", "kernels", "strides"):
            if min(getattr(self, name)) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected positive integers")

    def sizes(self, edge: int) -> list[int]:
        """Edges of the images, input first: ``floor((edge - kernel) / stride) + 1`` each."""
        found = [edge]
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            found.append((found[-1] - kernel) // stride + 1)
            if found[-1] < 1:
                raise ValueError(
                    f"edge is {edge}, an image of which shrinks to {found}; expected a larger one"
                )
        return found


PUBLISHED: dict[int, Planes] = {
    218_144: Planes((13, 15, 22, 31, 141), (5, 3, 9, 7, 3), (1, 1, 1, 1, 2)),
    1_042_013: Planes((12, 13, 16, 77, 96, 163), (3, 3, 5, 5, 3, 5), (1, 1, 1, 2, 1, 1)),
    5_519_335: Planes(
        (12, 15, 16, 85, 141, 191, 1100), (3, 5, 3, 7, 5, 3, 3), (1, 1, 1, 2, 1, 1, 2)
    ),
}
"""The three published networks, by their number of parameters with 1 channel and 11 classes."""


class _Residual(nn.Module):
    """``relu(W x + V resample(x))``: a convolution, and a 1x1 convolution around it.

    Down: ``resample`` is the maximum over the kernel's window. Up: the convolution is transposed,
    and ``resample`` repeats pixels to the same size; there the 1x1 convolution comes first.
    """

    def __init__(self, inner: nn.Conv2d | nn.ConvTranspose2d, size: int | None) -> None:
        super().__init__()
        self.inner = inner
        self.around = nn.Conv2d(inner.in_channels, inner.out_channels, 1)
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        if self.size is None:
            kernel, stride = self.inner.kernel_size[0], self.inner.stride[0]
            skip = self.around(F.max_pool2d(x, kernel, stride))
        else:
            skip = F.interpolate(self.around(x), size=(self.size, self.size), mode="nearest")
        return F.relu(self.inner(x) + skip)

    def initialise(self, generator: torch.Generator) -> None:
        """Variance 1 / fan-in for each of the two: their sum goes through one ReLU."""
        _draw(self.inner, 1.0, generator)
        _draw(self.around, 1.0, generator)


class _Encoder(nn.Module):
    def __init__(self, planes: Planes, channels: int) -> None:
        super().__init__()
        inputs = [channels, *planes.features[:-1]]
        maps = [
            nn.Conv2d(into, out, kernel, stride)
            for into, out, kernel, stride in zip(
                inputs, planes.features, planes.kernels, planes.strides, strict=True
            )
        ]
        self.first = maps[0]
        self.down = nn.Sequential(*(_Residual(one, None) for one in maps[1:]))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(F.relu(self.first(x)))
        return out

    def initialise(self, generator: torch.Generator) -> None:
        _draw(self.first, 2.0, generator)


class PlanarSegmenter(nn.Module):
    """Logits of each pixel: ``(batch, 2b, 2b, channels) -> (batch, 2b, 2b, classes)``.

    Convolutions without padding down, transposed convolutions of the same kernels and strides back
    up to each size, ReLU between, a skip around all but the first and the last (``_Residual``).
    With ``PUBLISHED[n]``, one channel and 11 classes it has ``n`` parameters.
    """

    def __init__(
        self, planes: Planes, bandlimit: int, channels: int = 1, classes: int = 11, seed: int = 0
    ) -> None:
        super().__init__()
        self.bandlimit, self.channels = bandlimit, channels
        sizes = planes.sizes(2 * bandlimit)
        self.encoder = _Encoder(planes, channels)
        outputs = [classes, *planes.features[:-1]]
        up: list[nn.Module] = []
        for i in reversed(range(len(sizes) - 1)):
            kernel, stride = planes.kernels[i], planes.strides[i]
            # What the floor in the size on the way down has cut off.
            missing = sizes[i] - kernel - (sizes[i + 1] - 1) * stride
            back = nn.ConvTranspose2d(
                planes.features[i], outputs[i], kernel, stride, output_padding=missing
            )
            up.append(_Residual(back, sizes[i]) if i else back)
        self.up = nn.Sequential(*up)
        initialise(self, seed)

    def forward(self, x: Tensor) -> Tensor:
        check_samples(x, self.bandlimit, self.channels)
        logits: Tensor = self.up(self.encoder(x.movedim(-1, 1)))
        return logits.movedim(1, -1)

    def initialise(self, generator: torch.Generator) -> None:
        last = self.up[-1]
        if isinstance(last, nn.ConvTranspose2d):
            _draw(last, 1.0, generator)


class PlanarClassifier(nn.Module):
    """Logits of an image: ``(batch, 2b, 2b, channels) -> (batch, classes)``.

    The way down of ``PlanarSegmenter``, the mean over what is left of the image, a linear map.
    """

    def __init__(
        self, planes: Planes, bandlimit: int, channels: int = 1, classes: int = 10, seed: int = 0
    ) -> None:
        super().__init__()
        self.bandlimit, self.channels = bandlimit, channels
        planes.sizes(2 * bandlimit)  # raises if the image is too small
        self.encoder = _Encoder(planes, channels)
        self.head = nn.Linear(planes.features[-1], classes)
        initialise(self, seed)

    def forward(self, x: Tensor) -> Tensor:
        check_samples(x, self.bandlimit, self.channels)
        logits: Tensor = self.head(self.encoder(x.movedim(-1, 1)).mean((-2, -1)))
        return logits


class Cnn(nn.Module):
    """``model.name: cnn``: ``PlanarSegmenter`` with ``dense``, else ``PlanarClassifier``.

    Built from parameters for a table: ``kind`` fixes bandlimit and channels. Raises ``UserError``
    for a table on another grid, and where the convolutions leave nothing of the image.
    """

    def __init__(
        self,
        kind: TableType,
        outputs: int,
        params: CnnParams,
        *,
        seed: int = 0,
        dense: bool = False,
    ) -> None:
        super().__init__()
        bandlimit, channels = grid_of(kind, params.name)
        planes = Planes(params.features, params.kernels, params.strides)
        try:
            planes.sizes(2 * bandlimit)
        except ValueError as error:
            raise UserError(f"model.kernels is {list(params.kernels)}: {error}") from None
        network = PlanarSegmenter if dense else PlanarClassifier
        self.body: nn.Module = network(planes, bandlimit, channels, outputs, seed)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return out

    def trace(self, x: Tensor) -> dict[str, Tensor]:
        """The output alone, as ``logits``."""
        return {"logits": self(x)}


def _draw(layer: nn.Module, gain: float, generator: torch.Generator) -> None:
    """Normal weights of variance ``gain / fan-in``, no bias.

    A transposed convolution with stride ``s`` adds up ``(k / s)^2`` of its ``k^2`` taps a pixel.
    """
    if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        raise TypeError(f"layer is {type(layer).__name__}; expected a convolution")
    fan_in = layer.in_channels * layer.kernel_size[0] ** 2
    if isinstance(layer, nn.ConvTranspose2d):
        fan_in = max(1, fan_in // layer.stride[0] ** 2)
    nn.init.normal_(layer.weight, std=(gain / fan_in) ** 0.5, generator=generator)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
