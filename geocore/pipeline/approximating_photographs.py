"""CIFAR-10 for ensembles: samples, test images, corrupted ones, and what is no photograph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from geocore.config.approximate import Cifar10Params
from geocore.data.sources.cifar10 import open_cifar10
from geocore.data.sources.home import data_home
from geocore.data.table import SPLITS
from geocore.ensembles.engine import Samples
from geocore.pipeline.approximating_corruptions import CORRUPTIONS, SEVERITIES, corrupted
from geocore.pipeline.approximating_members import Architecture
from geocore.pipeline.approximating_tasks import Group, Task, generator_of

__all__ = ["photographs_task"]

_CORRUPTION, _OUTSIDE = 23, 24  # streams of the seed
_PATCH = 8  # pixels of the squares that are shuffled


def photographs_task(params: Cifar10Params, root: Path) -> Task:
    """The first ``training`` training images and ``asked`` test images, in [-1, 1].

    Asked are the test images plain and under each corruption and severity, with their labels; out
    of distribution are uniform noise, the test images with light and dark exchanged, and with
    their squares of 8 x 8 pixels shuffled, each by itself. Raises ``UserError`` where the files
    are missing; ``root`` is the repository, below which they are downloaded.
    """
    source = open_cifar10(root / "data" / "downloads", data_home())
    own = source.splits
    assert own is not None  # of that source
    learned = np.flatnonzero(own == SPLITS.index("train"))[: params.training]
    held = np.flatnonzero(own == SPLITS.index("test"))[: params.asked]
    images, test = (_images(next(iter(source.images(r, len(r))))) for r in (learned, held))
    labels = torch.from_numpy(source.labels)
    told = labels[torch.from_numpy(held)]
    asked = {"test": test}
    groups = {"test": Group("test", labels=told)}
    for place, name in enumerate(CORRUPTIONS):
        for severity in SEVERITIES:
            key = f"{name}_{severity}"
            generator = generator_of(_CORRUPTION + 100 * place, params.seed)
            asked[key] = corrupted(test, name, severity, generator)
            groups[key] = Group(key, labels=told)
    generator = generator_of(_OUTSIDE, params.seed)
    outside = {
        "noise": torch.rand(test.shape, generator=generator),
        "inverted": 1 - test,
        "shuffled": _shuffled(test, generator),
    }
    return Task(
        samples=Samples(_centred(images), labels[torch.from_numpy(learned)]),
        architecture=Architecture("resnet", params.widths, params.depth),
        asked={name: _centred(x) for name, x in {**asked, **outside}.items()},
        groups={**groups, **{name: Group(name, outside=True) for name in outside}},
        flips=True,
    )


def _images(pixels: np.ndarray) -> Tensor:
    """``(n, 3, 32, 32)`` in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(pixels, -1, 1))).float() / 255


def _centred(x: Tensor) -> Tensor:
    return 2 * x - 1


def _shuffled(x: Tensor, generator: torch.Generator) -> Tensor:
    """The squares of each image in an order of its own."""
    n, channels, height, width = x.shape
    rows, columns = height // _PATCH, width // _PATCH
    squares = x.view(n, channels, rows, _PATCH, columns, _PATCH).permute(0, 2, 4, 1, 3, 5)
    flat = squares.reshape(n, rows * columns, channels, _PATCH, _PATCH)
    orders = torch.rand(n, rows * columns, generator=generator).argsort(dim=1)
    moved = flat[torch.arange(n)[:, None], orders].view(n, rows, columns, channels, _PATCH, _PATCH)
    return moved.permute(0, 3, 1, 4, 2, 5).reshape(x.shape)
