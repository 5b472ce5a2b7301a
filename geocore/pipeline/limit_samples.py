"""Images that kernels are asked about: turned on the plane, and turned on the sphere."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from geocore.config.limit import AccuracyLimit, SphereLimit
from geocore.config.orbits import DigitsOrbits, IsingOrbits
from geocore.errors import UserError
from geocore.kernels.so3_inputs import harmonic_coefficients
from geocore.pipeline.orbit_images import ClassImages, images_of, on_sphere
from geocore.pipeline.orbit_task import OrbitTask, Turned
from geocore.pipeline.orbit_tasks import task_of
from geocore.so3.orders import all_orders
from geocore.so3.rotation import matrix_to_euler_zyz, quaternion_to_matrix
from geocore.so3.s2_transform import S2Transform
from geocore.so3.sampling import random_rotations
from geocore.so3.wigner import wigner_D

__all__ = [
    "Pool",
    "as_vectors",
    "class_images",
    "digits_task",
    "ising_task",
    "spherical_pool",
    "turned_coefficients",
    "turned_pool",
    "with_channel",
]

# What stage ``orbits`` trains, and is not asked for here.
_NO_TRAINING: Any = {
    "width": 1, "depth": 1, "members": 2, "chunk": 1, "batch_size": 1, "times": (0, 1), "lr": 1.0,
    "optimiser": "sgd", "closed_max": 1.0,
}  # fmt: skip
_TURNS = 11  # the stream of the seed that turns come from


class Pool(NamedTuple):
    """``inputs (n, ...)`` and their ``labels (n,)`` int64."""

    inputs: Tensor
    labels: Tensor
    classes: int


def class_images(
    source: str,
    count: int,
    test: int,
    seed: int,
    root: Path,
    image_size: int | None = None,
    path: str | None = None,
) -> ClassImages:
    """Square images with classes, by ``images_of``, with errors in this section's keys."""
    try:
        return images_of(source, count, test, seed, root, image_size, path)
    except UserError as error:
        raise UserError(*(line.replace("orbits.", "limit.") for line in error.lines)) from None


def turned_pool(params: AccuracyLimit, root: Path) -> Pool:
    """``limit.pool`` images, each by an element of C_n that its number in the pool decides.

    Quarter turns permute pixels; the others interpolate, and leave the corners black.
    """
    found = class_images(
        params.source, params.pool, 0, params.seed, root, params.image_size, params.path
    )
    turns = Turned(params.order)
    drawn = np.random.default_rng([_TURNS, params.seed]).integers(params.order, size=params.pool)
    moved = torch.stack(
        [turns.act(int(k), image) for k, image in zip(drawn, found.inputs, strict=True)]
    )
    return Pool(moved, found.targets, found.classes)


def spherical_pool(params: SphereLimit, root: Path) -> Pool:
    """Images over half of a sphere, each under a rotation of its own, on Driscoll-Healy grids.

    ``(pool, 1, 2b, 2b)`` float64, of degrees below ``b = limit.bandlimit`` alone.
    """
    found = class_images(params.source, params.pool, 0, params.seed, root)
    maps = on_sphere(found.inputs, params.nside).movedim(-1, 1)
    coefficients = harmonic_coefficients(maps, params.bandlimit)
    rotations = random_rotations("so3", params.seed, np.arange(params.pool), _TURNS)
    turned = turned_coefficients(coefficients, rotations)
    transform = S2Transform(params.bandlimit, dtype=torch.float64)
    return Pool(transform.inverse(turned), found.targets, found.classes)


def turned_coefficients(coefficients: Tensor, quaternions: Tensor) -> Tensor:
    """``(R_i f_i)_l = D^l(R_i) (f_i)_l``: complex ``(n, channels, b, b)``, one rotation each.

    ``quaternions (n, 4)``; index ``[l, m]`` with ``m >= 0``.
    """
    bandlimit = coefficients.shape[-1]
    angles = matrix_to_euler_zyz(quaternion_to_matrix(quaternions))
    every = all_orders(coefficients)  # (n, channels, l, 2 b - 1)
    turned = torch.zeros_like(coefficients)
    for l in range(bandlimit):
        matrices = wigner_D(l, *angles)[..., l:, :].to(coefficients.dtype)
        middle = slice(bandlimit - 1 - l, bandlimit + l)
        turned[:, :, l, : l + 1] = torch.einsum("imn,icn->icm", matrices, every[:, :, l, middle])
    return turned


def ising_task(side: int, train: int, test: int, seed: int) -> OrbitTask:
    """The spins of stage ``orbits``: samples, questions, quarter turns."""
    params = IsingOrbits(task="ising", side=side, train=train, test=test, seed=seed, **_NO_TRAINING)
    return task_of(params, Path())


def digits_task(train: int, test: int, seed: int) -> OrbitTask:
    """The digits of stage ``orbits``, with noise and textures as further questions."""
    params = DigitsOrbits(
        task="digits", source="digits", other="textures", image_size=None, network="mlp", order=4,
        angles=None, train=train, test=test, seed=seed, **_NO_TRAINING,
    )  # fmt: skip
    return task_of(params, Path())


def with_channel(x: Tensor) -> Tensor:
    """Spins ``(..., n, side, side)`` as images of one channel, ``(..., n, 1, side, side)``."""
    return x[..., None, :, :]


def as_vectors(coefficients: Tensor) -> Tensor:
    """Real coefficients ``f_l0, sqrt2 Re f_lm, sqrt2 Im f_lm``: ``(n, features)``.

    Their scalar product is ``int f f'`` over the sphere.
    """
    bandlimit = coefficients.shape[-1]
    l, m = torch.tril_indices(bandlimit, bandlimit)
    kept = coefficients[..., l, m]
    zero = kept[..., m == 0].real
    others = 2**0.5 * torch.view_as_real(kept[..., m > 0]).flatten(-2)
    return torch.cat([zero, others], dim=-1).flatten(1)
