"""The tasks of emergent equivariance: from parameters to samples, questions and groups."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from geocore.config.orbits import (
    DigitsOrbits,
    HealpixOrbits,
    IsingOrbits,
    OrbitsParams,
    TextureOrbits,
    VectorOrbits,
)
from geocore.errors import UserError
from geocore.groups.cube import OnVectors, cube_rotations
from geocore.groups.sampled_rotations import SampledRotations
from geocore.healpix.symmetry import GridSymmetries
from geocore.pipeline.orbit_images import images_of, on_sphere, other_images
from geocore.pipeline.orbit_task import OrbitTask, Turned

__all__ = ["energies", "task_of"]


def task_of(params: OrbitsParams, root: Path) -> OrbitTask:
    """The task that ``params`` name. ``root`` is where own data is looked for.

    Raises ``UserError`` for data that are missing, broken or too few.
    """
    if isinstance(params, IsingOrbits):
        return _ising(params)
    if isinstance(params, VectorOrbits):
        return _vector(params)
    if isinstance(params, HealpixOrbits):
        return _healpix(params, root)
    if isinstance(params, DigitsOrbits | TextureOrbits):
        return _images(params, root)
    raise TypeError(f"params is {type(params).__name__}; expected those of a task")


def energies(spins: Tensor) -> Tensor:
    """``-sum_<ij> s_i s_j / sqrt(2 n)``, over the ``2 n`` bonds of a periodic lattice of spins.

    ``(batch, side, side) -> (batch, 1)``; of independent spins it has mean 0 and variance 1.
    """
    along = (spins * spins.roll(1, -1)).sum((-2, -1))
    down = (spins * spins.roll(1, -2)).sum((-2, -1))
    bonds = 2 * spins.shape[-2] * spins.shape[-1]
    return -(along + down)[:, None] / math.sqrt(bonds)


def _ising(params: IsingOrbits) -> OrbitTask:
    """Independent spins; far from them are normal numbers in their places."""
    generator, side = _generator(params.seed), params.side

    def spins(count: int) -> Tensor:
        drawn = torch.randint(2, (count, side, side), generator=generator)
        return 2.0 * drawn.double() - 1

    inputs, test = spins(params.train), spins(params.test)
    noise = torch.randn(params.test, side, side, dtype=torch.float64, generator=generator)
    return OrbitTask(
        inputs=inputs, targets=energies(inputs), asked={"test": test, "noise": noise},
        truth=energies(test), turns=Turned(4), places={"C4": torch.arange(4)}, trained="C4",
        exact="C4", outputs=1,
    )  # fmt: skip


def _vector(params: VectorOrbits) -> OrbitTask:
    """Pairs of normal vectors; far from them are pairs twice as long."""
    generator = _generator(params.seed)

    def pairs(count: int) -> Tensor:
        return torch.randn(count, 2, 3, dtype=torch.float64, generator=generator)

    inputs, test = pairs(params.train), pairs(params.test)
    cube = cube_rotations()
    sampled = SampledRotations(lambda _: torch.nn.Identity(), params.rotations + 1, params.seed)
    matrices = torch.cat([cube, sampled.matrices[1:]])
    continuum = torch.cat([torch.zeros(1, dtype=torch.int64), torch.arange(24, len(matrices))])
    return OrbitTask(
        inputs=inputs, targets=torch.linalg.cross(inputs[:, 0], inputs[:, 1]),
        asked={"test": test, "long": 2 * pairs(params.test)},
        truth=torch.linalg.cross(test[:, 0], test[:, 1]),
        turns=OnVectors(matrices, "rotations"),
        places={"cube": torch.arange(24), "SO(3)": continuum}, trained="cube", exact="cube",
        outputs=3, matrices=matrices,
    )  # fmt: skip


def _healpix(params: HealpixOrbits, root: Path) -> OrbitTask:
    found = images_of("digits", params.train, params.test, params.seed, root)
    generator, group = _generator(params.seed), GridSymmetries(params.nside)
    noise = torch.rand(
        params.test, 12 * params.nside**2, 1, dtype=torch.float64, generator=generator
    )
    return OrbitTask(
        inputs=on_sphere(found.inputs, params.nside), targets=found.targets,
        asked={"test": on_sphere(found.test, params.nside), "noise": noise}, truth=found.truth,
        turns=group, places={"D4h": torch.arange(group.order)}, trained="D4h", exact="D4h",
        outputs=found.classes,
    )  # fmt: skip


def _images(params: DigitsOrbits | TextureOrbits, root: Path) -> OrbitTask:
    path = params.path if isinstance(params, TextureOrbits) else None
    found = images_of(
        params.source, params.train, params.test, params.seed, root, params.image_size, path
    )
    size = found.inputs.shape[-1]
    if params.network == "cnn" and size % 4:
        raise UserError(
            f"orbits.network is cnn for images of {size} pixels; expected a multiple of 4, which "
            "its two halvings leave symmetric"
        )
    other = params.other if isinstance(params, DigitsOrbits) else "digits"
    generator = _generator(params.seed)
    shape = found.test.shape
    finest = params.order if params.angles is None else params.angles
    names = {"C4": 4, f"C{params.order}": params.order, f"C{finest}": finest}
    return OrbitTask(
        inputs=found.inputs,
        targets=found.targets,
        asked={
            "test": found.test,
            "noise": torch.rand(shape, dtype=torch.float64, generator=generator),
            other: other_images(other, (shape[0], shape[1], shape[2]), params.seed, root),
        },
        truth=found.truth,
        turns=Turned(finest),
        places={name: torch.arange(0, finest, finest // n) for name, n in names.items()},
        trained=f"C{params.order}",
        exact="C4",
        outputs=found.classes,
    )


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
