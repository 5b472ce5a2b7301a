"""What ensembles and posterior learn, and what they are asked about: three tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from geocore.config.approximate import (
    ApproximateParams,
    Cifar10Params,
    DigitsParams,
    EnsemblesParams,
    ToyParams,
)
from geocore.ensembles.engine import Samples
from geocore.pipeline.approximating_members import Architecture
from geocore.runs.digest import digest_bytes

__all__ = [
    "Group",
    "Task",
    "digits_task",
    "generator_of",
    "lattice",
    "shell_of",
    "task_of",
    "toy_task",
    "variants",
]

_BOX = ((0.0, -3.0), (3.0, 3.0))  # of the toy's samples
_RADIUS = 2.4  # of the circle that its classes are either side of
_TOY, _NOISE, _SPLIT = 20, 21, 22  # streams of the seed


@dataclass(frozen=True)
class Group:
    """Inputs that figures are taken over: those of an asked set, or a part of them (``chosen``).

    ``outside`` ones are out of distribution: whether doubt tells them from ``test`` is measured.
    ``labels (n,)`` are those of the whole set.
    """

    asked: str
    chosen: Tensor | None = None
    labels: Tensor | None = None
    outside: bool = False

    @property
    def truth(self) -> Tensor | None:
        """The labels of its own inputs."""
        if self.labels is None or self.chosen is None:
            return self.labels
        return self.labels[self.chosen]


@dataclass(frozen=True)
class Task:
    """Samples to learn from, inputs by name that are asked about, and groups of them.

    ``map`` is the number of rows and columns of the lattice that the asked ``plane`` is, if there
    is one. ``dtype`` is what the reference computes in: float32 is half again as fast as float64,
    and energies of some 1e3 are rounded to 1e-4 in it.
    """

    samples: Samples
    architecture: Architecture
    asked: Mapping[str, Tensor]
    groups: Mapping[str, Group]
    dtype: torch.dtype = torch.float32
    flips: bool = False
    map: tuple[int, int] | None = None
    digests: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        learned = digest_bytes(_bytes(self.samples.inputs) + _bytes(self.samples.targets))
        asked = digest_bytes(b"".join(_bytes(self.asked[name]) for name in sorted(self.asked)))
        object.__setattr__(self, "digests", {"samples": learned, "asked": asked})


def task_of(params: ApproximateParams, root: Path) -> Task:
    """The task that the parameters name; ``root`` is the repository.

    Raises ``UserError`` where scikit-learn or the files of CIFAR-10 are missing.
    """
    if isinstance(params, ToyParams):
        return toy_task(params)
    if isinstance(params, DigitsParams):
        return digits_task(params)
    assert isinstance(params, Cifar10Params)  # the section knows these three
    from geocore.pipeline.approximating_photographs import photographs_task

    return photographs_task(params, root)


def toy_task(params: ToyParams) -> Task:
    """``y = [||x|| >= 2.4]`` of points uniform in ``[0, 3] x [-3, 3]``; shells about that box.

    Asked is a lattice over the box and all shells, ``plane``. Its points in the box are shell 0,
    those no further than ``k`` and further than ``k - 1`` from it shell ``k``. Shell 0 alone has
    labels: there it can be told how well was learned. Source: arXiv:2212.08123, section 4.
    """
    generator = generator_of(_TOY, params.seed)
    low, high = (torch.tensor(corner) for corner in _BOX)
    x = torch.rand(params.points, 2, generator=generator) * (high - low) + low
    y = (x.norm(dim=1) >= _RADIUS).long()
    plane, rows = lattice(params.shells, params.spacing)
    shells, truth = shell_of(plane), (plane.norm(dim=1) >= _RADIUS).long()
    return Task(
        samples=Samples(x, y),
        architecture=Architecture("mlp", (2, *params.hidden, 2)),
        asked={"plane": plane},
        groups={
            f"shell_{k}": Group("plane", shells == k, truth if k == 0 else None)
            for k in range(params.shells + 1)
        },
        map=(rows, len(plane) // rows),
    )


def lattice(reach: float, spacing: float) -> tuple[Tensor, int]:
    """Middles of squares over the box and ``reach`` around it, ``(rows * columns, 2)``; ``rows``.

    Squares have sides of ``spacing``, up to what makes their number whole. Rows run downwards from
    the largest ``x2``, as in a picture.
    """
    (left, low), (right, high) = _BOX
    columns, rows = (
        max(1, round((end - start + 2 * reach) / spacing))
        for start, end in ((left, right), (low, high))
    )
    across = (torch.arange(columns) + 0.5) / columns * (right - left + 2 * reach) + left - reach
    upwards = high + reach - (torch.arange(rows) + 0.5) / rows * (high - low + 2 * reach)
    x2, x1 = torch.meshgrid(upwards, across, indexing="ij")
    return torch.stack([x1.flatten(), x2.flatten()], dim=1), rows


def shell_of(points: Tensor) -> Tensor:
    """``ceil`` of the distance of points ``(n, 2)`` to the box: ``(n,)`` int64, 0 inside."""
    low, high = (torch.tensor(corner, dtype=points.dtype) for corner in _BOX)
    nearest = points.clamp(low, high)
    shells: Tensor = (points - nearest).norm(dim=1).ceil().long()
    return shells


def digits_task(params: DigitsParams) -> Task:
    """Digits of 8 x 8 pixels in [0, 1]: ``training`` of them, drawn by the seed; the rest asked.

    Out of distribution are the asked ones turned by 90 degrees, with light and dark exchanged, and
    uniform noise.
    """
    from geocore.data.sources.digits import Digits

    source = Digits()
    rows = np.arange(len(source.labels))
    (pixels,) = source.images(rows, len(rows))
    images = torch.from_numpy(np.ascontiguousarray(pixels)).float().movedim(-1, 1) / 255
    labels = torch.from_numpy(source.labels)
    order = torch.randperm(len(images), generator=generator_of(_SPLIT, params.seed))
    learned, held = order[: params.training], order[params.training :]
    test = images[held].contiguous()
    noise = torch.rand(test.shape, generator=generator_of(_NOISE, params.seed))
    return Task(
        samples=Samples(images[learned].contiguous(), labels[learned]),
        architecture=Architecture("cnn", params.widths),
        asked={
            "test": test,
            "rotated": test.rot90(1, (-2, -1)).contiguous(),
            "inverted": 1 - test,
            "noise": noise,
        },
        groups={
            "test": Group("test", labels=labels[held]),
            **{name: Group(name, outside=True) for name in ("rotated", "inverted", "noise")},
        },
    )


def generator_of(stream: int, seed: int) -> torch.Generator:
    """One stream of random numbers for each use of a seed."""
    state = np.random.SeedSequence([stream, seed]).generate_state(1)
    return torch.Generator().manual_seed(int(state[0]))


def _bytes(values: Tensor) -> bytes:
    return repr((values.dtype, tuple(values.shape))).encode() + values.numpy().tobytes()


def variants(params: EnsemblesParams) -> list[tuple[str, float]]:
    """Family and ``p`` of each kind of ensemble; ``p`` is 0 where the family has none."""
    found: list[tuple[str, float]] = []
    for family in params.families:
        chances = params.p if family in ("dropout", "dropconnect") else (0.0,)
        found += [(family, chance) for chance in chances]
    return found
