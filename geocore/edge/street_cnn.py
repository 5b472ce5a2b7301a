"""The small network for house numbers that the first firmware paper puts on a chip."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["StreetCnn", "build_street_cnn"]

_FILTERS = (16, 16, 24)
_HIDDEN = (42, 64)
_FLAT = 2 * 2 * _FILTERS[-1]  # 32 -> 30 -> 15 -> 13 -> 6 -> 4 -> 2


class StreetCnn(nn.Module):
    """Three blocks of valid convolution, then three linear maps, for images 32 x 32 x 3.

    ``x -> N(x)``, three times ``P(R(N(C(x))))`` with convolutions 3x3 of 16, 16 and 24 filters,
    twice ``R(N(L(x)))`` of 42 and 64 numbers, and a last linear map onto ``classes``; ``N`` is
    batch norm, ``R`` ReLU and ``P`` max-pooling over 2x2. Only the last map has a bias of its own:
    13,892 parameters with 10 classes. ``(n, 32, 32, 3)`` in [0, 1] gives logits ``(n, classes)``;
    what is flattened is channels-last. Source: arXiv:2101.05108, section 3.
    """

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        inputs = (3, *_FILTERS[:-1])
        self.convolutions = nn.ModuleList(
            nn.Conv2d(given, out, 3, bias=False)
            for given, out in zip(inputs, _FILTERS, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(out) for out in _FILTERS)
        widths = (_FLAT, *_HIDDEN[:-1])
        self.dense = nn.ModuleList(
            nn.Linear(given, out, bias=False) for given, out in zip(widths, _HIDDEN, strict=True)
        )
        self.dense_norms = nn.ModuleList(nn.BatchNorm1d(out) for out in _HIDDEN)
        self.head = nn.Linear(_HIDDEN[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of images."""
        here = self.norm(images.permute(0, 3, 1, 2))
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            here = F.max_pool2d(F.relu(norm(convolution(here))), 2)
        here = here.permute(0, 2, 3, 1).flatten(1)
        for dense, norm in zip(self.dense, self.dense_norms, strict=True):
            here = F.relu(norm(dense(here)))
        logits: Tensor = self.head(here)
        return logits


def build_street_cnn(classes: int, seed: int) -> StreetCnn:
    """One whose weights are drawn from ``seed``; torch's own random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return StreetCnn(classes)
