"""The float student: a small convolutional network whose every layer a chip knows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocore.edge.nodes import Shape
from geocore.errors import UserError

__all__ = ["Student", "build_student", "spatial_sizes"]


class Student(nn.Module):
    """Blocks of convolution, batch norm, ReLU and pooling, then one linear map.

    A block is a convolution 3x3 over zero-padded images, batch norm, ReLU and max-pooling over
    2x2 (an odd last row or column is dropped). ``shape (height, width, channels)`` is that of an
    image as tables hold it; ``(n, height, width, channels)`` in [0, 1] gives logits
    ``(n, classes)``. What is flattened is channels-last as well, the order in which a chip streams
    it. Raises ``UserError`` for an image that the blocks pool to nothing.
    """

    def __init__(self, shape: Shape, channels: Sequence[int], classes: int) -> None:
        super().__init__()
        height, width = spatial_sizes(shape, len(channels))[-1]
        inputs = [shape[2], *channels[:-1]]
        self.convolution = nn.ModuleList(
            nn.Conv2d(given, out, 3, padding=1, bias=False)
            for given, out in zip(inputs, channels, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(out) for out in channels)
        self.pooling = nn.ModuleList(nn.MaxPool2d(2) for _ in channels)
        self.dense = nn.Linear(height * width * channels[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of images."""
        here = images.permute(0, 3, 1, 2)
        blocks = zip(self.convolution, self.norms, self.pooling, strict=True)
        for convolution, norm, pooling in blocks:
            here = pooling(F.relu(norm(convolution(here))))
        logits: Tensor = self.dense(here.permute(0, 2, 3, 1).flatten(1))
        return logits


def build_student(shape: Shape, channels: Sequence[int], classes: int, seed: int) -> Student:
    """A student whose weights are drawn from ``seed``; torch's own random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Student(shape, channels, classes)


def spatial_sizes(shape: Shape, blocks: int) -> list[tuple[int, int]]:
    """Height and width of the image and after each block, ``blocks + 1`` pairs.

    Raises ``UserError`` if nothing would be left.
    """
    height, width, _ = shape
    least = 2**blocks
    if min(height, width) < least:
        raise UserError(
            f"synthesize.channels has {blocks} blocks and images are {height} x {width}; "
            f"expected images of at least {least} x {least} pixels, or fewer blocks"
        )
    return [(height >> pooled, width >> pooled) for pooled in range(blocks + 1)]
