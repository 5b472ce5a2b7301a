"""Images turned on the plane and on the sphere."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from geocore.config.limit import AccuracyLimit, SphereLimit
from geocore.kernels.so3_inputs import harmonic_coefficients
from geocore.pipeline.limit_samples import (
    as_vectors,
    spherical_pool,
    turned_coefficients,
    turned_pool,
)
from geocore.pipeline.orbit_images import images_of
from geocore.so3.rotation import compose, quaternion_to_matrix
from geocore.so3.s2_rotation import S2Rotation
from geocore.so3.s2_transform import S2Transform
from geocore.so3.sampling import random_rotations
from tests.pipeline.limit_jobs import params

BAND = 5


def coefficients(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(count, 2, BAND, BAND, 2, dtype=torch.float64, generator=generator)
    full = torch.view_as_complex(drawn)
    return harmonic_coefficients(full, BAND)


def rotations(count: int, stream: int) -> Tensor:
    return random_rotations("so3", 0, np.arange(count), stream)


def test_turned_coefficients_are_those_of_turned_signals() -> None:
    f, quaternions = coefficients(3), rotations(3, 1)
    found = turned_coefficients(f, quaternions)
    transform = S2Transform(BAND, dtype=torch.float64)
    for one, quaternion, turned in zip(f, quaternions, found, strict=True):
        samples = transform.inverse(one[None]).movedim(1, -1)
        rotation = S2Rotation(BAND, quaternion_to_matrix(quaternion), torch.float64)
        expected = transform(rotation(samples).movedim(-1, 1))[0]
        torch.testing.assert_close(turned, expected, rtol=0, atol=1e-12)


def test_one_turn_after_another_is_their_product() -> None:
    f, one, two = coefficients(4), rotations(4, 1), rotations(4, 2)
    after = turned_coefficients(turned_coefficients(f, one), two)
    torch.testing.assert_close(after, turned_coefficients(f, compose(two, one)), rtol=0, atol=1e-12)


def test_vectors_have_the_scalar_product_of_the_sphere() -> None:
    """Against quadrature on the grid; and turns leave their length alone."""
    f = coefficients(4)
    found = as_vectors(f)
    assert found.shape == (4, 2 * BAND**2)
    # On a finer grid, where the square of a signal is still below its degree.
    transform = S2Transform(BAND, sampling=2 * BAND, dtype=torch.float64)
    fine = S2Transform(2 * BAND, dtype=torch.float64)
    signals = transform.inverse(f)
    product = (signals[0] * signals[1]).sum(dim=0, keepdim=True)[None]
    integral = float(fine(product)[0, 0, 0, 0].real) * math.sqrt(4 * math.pi)
    assert abs(float(found[0] @ found[1]) - integral) < 1e-11
    turned = as_vectors(turned_coefficients(f, rotations(4, 1)))
    torch.testing.assert_close(turned.norm(dim=1), found.norm(dim=1), rtol=1e-12, atol=0)


def test_each_image_is_turned_by_its_own_quarters() -> None:
    settings = params("accuracy", pool=40)
    assert isinstance(settings, AccuracyLimit)
    pool = turned_pool(settings, Path())
    upright = images_of("digits", 40, 0, 1, Path())
    assert torch.equal(pool.labels, upright.targets) and pool.classes == 10
    quarters = [
        [torch.equal(image, other.rot90(k, (-2, -1))) for k in range(4)].index(True)
        for image, other in zip(pool.inputs, upright.inputs, strict=True)
    ]
    assert set(quarters) == {0, 1, 2, 3}


def test_spherical_images_are_what_the_seed_says_and_keep_their_length() -> None:
    settings = params("sphere", pool=24)
    assert isinstance(settings, SphereLimit)
    pool = spherical_pool(settings, Path())
    assert pool.inputs.shape == (24, 1, 8, 8) and pool.inputs.dtype == torch.float64
    again = spherical_pool(settings, Path())
    assert torch.equal(pool.inputs, again.inputs)
    other = spherical_pool(settings.model_copy(update={"seed": 2}), Path())
    assert not torch.equal(pool.inputs, other.inputs)
