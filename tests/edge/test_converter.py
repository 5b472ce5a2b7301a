"""From random torch modules to compiled firmware: refused with a remedy, or equal in every bit."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocore.edge.bits import WeightBits
from geocore.edge.calibration import activation_peaks
from geocore.edge.description import QuantisedModel
from geocore.edge.nodes import Shape
from geocore.edge.preflight import self_check
from geocore.edge.quantised import Bits, QuantisedNetwork
from geocore.edge.tracing import trace
from geocore.errors import UserError
from geocore.train.feed import tensor_feed
from tests.edge.firmwares import compiled
from tests.edge.random_modules import random_images, random_module

KINDS: tuple[WeightBits, ...] = (16, 8, 5, 2, "binary", "ternary")
DAILY = 10


def described(module: nn.Module, shape: Shape, bits: Bits) -> QuantisedModel:
    graph = trace(module.eval(), shape)
    given = tensor_feed(random_images(12, shape).float(), torch.zeros(12, dtype=torch.int64))
    return QuantisedNetwork(graph, bits, activation_peaks(graph, given)).describe()


# Joins of which one input is all less than half a step of their common grid.
LOST = {102, 145, 166, 195, 198, 273, 295}


@pytest.mark.parametrize(
    "seed", [pytest.param(s, marks=pytest.mark.slow if s >= DAILY else ()) for s in range(300)]
)
def test_random_modules(seed: int, tmp_path: Path) -> None:
    module, shape = random_module(seed)
    draw = random.Random(seed)
    bits = Bits(draw.choice(KINDS), draw.choice((16, 8, 4)), draw.choice((8, 5, 1)))
    if module.refused is not None:
        with pytest.raises(UserError, match="; expected "):
            described(module, shape, bits)
        return
    model = described(module, shape, bits)
    chosen: dict[str, Any] = {
        "io_type": ("io_stream", "io_parallel")[seed % 2],
        "strategy": draw.choice(("Latency", "Latency", "Resource")),
        "backend": draw.choice(("Vitis", "Vivado")),
        "reuse_factor": draw.choice((1, 1, 3, 1000)),
    }
    if seed in LOST:
        with pytest.raises(UserError, match=r" rounds all of .* to zero on its grid .*; expected "):
            compiled(model, tmp_path, **chosen)
        return
    self_check(compiled(model, tmp_path, **chosen), model, seed)


class Branches(nn.Module):
    """The image itself is read by two ways."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 2, 3), nn.Conv2d(2, 2, 3)

    def forward(self, images: Tensor) -> Tensor:
        given = images.permute(0, 3, 1, 2)
        found: Tensor = self.first(given) + F.relu(self.second(given))
        return found.permute(0, 2, 3, 1)


class Rows(nn.Module):
    """Layers one after the other; ``ends`` where they end in a vector."""

    def __init__(self, *layers: nn.Module, ends: bool = False) -> None:
        super().__init__()
        self.layers, self.ends = nn.Sequential(*layers), ends

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.layers(images.permute(0, 3, 1, 2))
        return found if self.ends else found.permute(0, 2, 3, 1)


class Bilinear(nn.Module):
    def forward(self, value: Tensor) -> Tensor:
        return F.interpolate(value, scale_factor=2, mode="bilinear")


Made = Callable[[], nn.Module]
# Where hls4ml's own front end says nothing and computes something else, crashes, or raises.
REFUSED: dict[str, Made] = {
    "dilated": lambda: Rows(nn.Conv2d(2, 2, 3, dilation=2)),
    "bilinear layer": lambda: Rows(nn.Upsample(scale_factor=2, mode="bilinear")),
    "bilinear function": lambda: Rows(Bilinear()),
    "PReLU": lambda: Rows(nn.Conv2d(2, 2, 1), nn.PReLU()),
    "transposed": lambda: Rows(nn.ConvTranspose2d(2, 2, 2, stride=2)),
    "groups": lambda: Rows(nn.Conv2d(2, 2, 3, groups=2)),
    "adaptive": lambda: Rows(nn.AdaptiveAvgPool2d(2)),
    "shuffled": lambda: Rows(nn.Conv2d(2, 4, 1), nn.PixelShuffle(2)),
    "dropped": lambda: Rows(nn.Dropout2d()),
}
TAKEN: dict[str, Made] = {
    "images read twice": Branches,
    "norm behind a linear map": lambda: Rows(
        nn.Flatten(), nn.Linear(24, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 2), ends=True
    ),
    "padded by zeros": lambda: Rows(nn.ZeroPad2d((0, 2, 1, 0)), nn.Conv2d(2, 2, 3)),
    "upsampled": lambda: Rows(nn.Conv2d(2, 2, 1), nn.Upsample(scale_factor=3)),
}
SHAPE = (3, 4, 2)


@pytest.mark.parametrize("name", REFUSED)
def test_what_hls4ml_gets_wrong_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="; expected "):
        described(REFUSED[name](), SHAPE, Bits(8, 8))


@pytest.mark.parametrize(
    ("name", "io_type"),
    [
        pytest.param(name, io_type, marks=pytest.mark.slow if (place + other) % 2 else ())
        for place, name in enumerate(TAKEN)
        for other, io_type in enumerate(("io_stream", "io_parallel"))
    ],
)
def test_what_hls4ml_would_get_wrong_by_other_ways_is_right(
    name: str, io_type: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = described(TAKEN[name](), SHAPE, Bits(8, 8))
    # A reuse factor above the fan-in, which hls4ml's kernels get wrong, is brought down to it.
    options: dict[str, Any] = {"strategy": "Resource", "reuse_factor": 1000}
    options = options if "norm" in name else {}
    self_check(compiled(model, tmp_path, io_type=io_type, **options), model)
