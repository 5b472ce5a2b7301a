"""Small students that several tests look at: untrained, but with norms that do something."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from geocore.edge.calibration import activation_peaks
from geocore.edge.quantised import Bits, QuantisedNetwork
from geocore.edge.student import Student, build_student
from geocore.edge.tracing import trace
from geocore.train.feed import Feed, tensor_feed

__all__ = ["feed", "images", "quantised", "student"]

Shape = tuple[int, int, int]


def images(count: int, shape: Shape, seed: int = 1) -> Tensor:
    """Noise in [0, 1], after one white and one black image: the ends of every range."""
    drawn = torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed))
    drawn[0], drawn[1] = 1.0, 0.0
    return drawn


def feed(count: int, shape: Shape) -> Feed:
    """The same images with labels that nobody looks at."""
    return tensor_feed(images(count, shape), torch.zeros(count, dtype=torch.int64))


def student(shape: Shape, channels: tuple[int, ...], classes: int = 3, seed: int = 0) -> Student:
    found = build_student(shape, channels, classes, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for norm in found.norms:
            assert isinstance(norm, nn.BatchNorm2d)
            assert norm.running_mean is not None and norm.running_var is not None
            norm.running_mean.normal_(0, 0.3, generator=generator)
            norm.running_var.uniform_(0.5, 2, generator=generator)
            norm.weight.uniform_(0.5, 1.5, generator=generator)
            norm.bias.normal_(0, 0.5, generator=generator)
    return found.eval()


def quantised(
    shape: Shape,
    channels: tuple[int, ...],
    bits: Bits | None = None,
    given: Student | None = None,
) -> QuantisedNetwork:
    given = student(shape, channels) if given is None else given
    graph = trace(given, shape)
    made = QuantisedNetwork(graph, bits or Bits(4, 4, 5), activation_peaks(graph, feed(32, shape)))
    made.eval()
    return made
