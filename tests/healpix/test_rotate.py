"""Interpolated rotations: exact where they can be, smooth elsewhere, honest about missing faces."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from geocore.healpix.grid import ALL_FACES, pixel_centres
from geocore.healpix.rotate import MapRotation
from geocore.healpix.symmetry import QuarterTurns
from geocore.so3.rotation import quaternion_to_matrix, rotation_about_z
from geocore.so3.sampling import random_rotations
from geocore.testing import assert_parity


def some_rotations(count: int) -> torch.Tensor:
    return quaternion_to_matrix(random_rotations("so3", 3, np.arange(count)))


@pytest.mark.parametrize("faces", [ALL_FACES, tuple(range(8))])
def test_quarter_turns_are_exact(faces: tuple[int, ...]) -> None:
    group = QuarterTurns(8, faces)
    maps = torch.randn(3, len(faces) * 64, 2, dtype=torch.float64)
    for turns in group:
        rotation = MapRotation(8, faces, group.matrix(turns), torch.float64)
        assert rotation.valid.all()
        # 1e-12: the weights at a centre are within some 1e-14 of zero and one.
        torch.testing.assert_close(rotation(maps), group.act(turns, maps), atol=1e-12, rtol=0)


def test_a_linear_function_rotates_to_second_order_of_the_pixel_size() -> None:
    """f(d) = a . d rotates to (R a) . d.

    The mean error of bilinear interpolation falls as 1 / nside^2; next to the poles, where the
    four neighbours lie around the pole, only as 1 / nside.
    """
    a = torch.tensor([0.3, -0.8, 0.5], dtype=torch.float64)
    for R in some_rotations(5):
        mean, most = [], []
        for nside in (8, 16, 32):
            centres = pixel_centres(nside)
            rotated = MapRotation(nside, ALL_FACES, R, torch.float64)((centres @ a)[None, :, None])
            error = (rotated[0, :, 0] - centres @ (R @ a)).abs()
            mean.append(float(error.mean()))
            most.append(float(error.max()))
        assert mean[0] < 0.004 and most[0] < 0.03
        assert mean[2] < mean[1] / 3.5 < mean[0] / 3.5**2
        assert most[2] < most[0] / 2.5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_constant_stays_constant(dtype: torch.dtype) -> None:
    for R in some_rotations(3):
        rotated = MapRotation(16, ALL_FACES, R, dtype)(torch.full((2, 3072, 1), 0.7, dtype=dtype))
        torch.testing.assert_close(rotated, torch.full_like(rotated, 0.7), atol=1e-6, rtol=0)


def test_missing_faces_are_left_out_and_what_is_left_is_scaled_up() -> None:
    faces = tuple(range(8))
    R = quaternion_to_matrix(torch.tensor([math.cos(0.6), math.sin(0.6), 0, 0]).double())
    rotation = MapRotation(8, faces, R, torch.float64)
    ones = rotation(torch.ones(1, 512, 1, dtype=torch.float64))[0, :, 0]
    torch.testing.assert_close(ones, rotation.valid.double(), atol=1e-12, rtol=0)
    # Valid are the pixels whose neighbours under R^-1 are not all in the south cap's faces.
    source_z = (pixel_centres(8, faces) @ R)[:, 2]
    assert 0.5 < rotation.valid.double().mean() < 1
    assert (source_z[~rotation.valid] < 0).all()
    assert rotation.valid[source_z > 0].all()


def test_about_z_ring_values_stay_on_their_rings() -> None:
    centres = pixel_centres(8)
    z = centres[:, 2][None, :, None]
    rotation = MapRotation(8, ALL_FACES, rotation_about_z(torch.tensor(0.4)), torch.float64)
    torch.testing.assert_close(rotation(z), z, atol=1e-7, rtol=0)


def test_parity_with_the_reference_and_gradient() -> None:
    rotation = MapRotation(8, range(8), some_rotations(1)[0], torch.float64)
    maps = torch.randn(4, 512, 3, dtype=torch.float64).requires_grad_()
    assert_parity(rotation, rotation.stencil.reference, maps, atol=1e-13)
    rotation(maps).sum().backward()
    assert maps.grad is not None
    total = float(maps.grad.sum())
    assert total == pytest.approx(12 * float(rotation.valid.sum()), abs=1e-9)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"rotation has shape \(2, 3\); expected \(3, 3\)"):
        MapRotation(4, ALL_FACES, torch.zeros(2, 3))
    for wrong in (torch.diag(torch.tensor([1.0, 1, -1])), 2 * torch.eye(3)):
        with pytest.raises(ValueError, match="expected a rotation"):
            MapRotation(4, ALL_FACES, wrong)
