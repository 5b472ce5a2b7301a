"""Where a camera looks: base poses, tilts about its own axes, poses on a vehicle."""

from __future__ import annotations

import functools
import math

import pytest
import torch

from geocore.camera.pose import Pose, look_at, tilted
from geocore.so3.rotation import compose, euler_zyz_to_matrix, quaternion_to_matrix

assert_exact = functools.partial(torch.testing.assert_close, atol=1e-12, rtol=0)
ZERO = torch.zeros((), dtype=torch.float64)


@pytest.mark.parametrize(("colatitude", "longitude"), [(90, 45), (30, -70), (150, 200), (90, 0)])
def test_the_base_camera_looks_at_its_point_with_up_to_the_north(
    colatitude: float, longitude: float
) -> None:
    R = quaternion_to_matrix(look_at(colatitude, longitude))
    theta, phi = math.radians(colatitude), math.radians(longitude)
    entries = [math.sin(theta) * math.cos(phi), math.sin(theta) * math.sin(phi), math.cos(theta)]
    point = torch.tensor(entries, dtype=torch.float64)
    assert_exact(R[:, 2], point)
    north = torch.tensor([0.0, 0, 1], dtype=torch.float64)
    up = north - (north @ point) * point
    assert_exact(-R[:, 1], up / up.norm())
    west = torch.linalg.cross(point, north)
    assert_exact(R[:, 0], west / west.norm())


@pytest.mark.parametrize("pole", [0.0, 180.0])
def test_at_the_poles_up_is_the_limit_along_the_meridian(pole: float) -> None:
    near = abs(pole - 1e-5)
    limit = quaternion_to_matrix(look_at(near, 33.0))
    found = quaternion_to_matrix(look_at(pole, 33.0))
    torch.testing.assert_close(found, limit, atol=1e-6, rtol=0)


def test_tilts_turn_the_view_about_the_cameras_own_axes() -> None:
    """The axis is (0, 0, 1), right is (1, 0, 0), down is (0, 1, 0)."""
    sin, cos = math.sin(0.1), math.cos(0.1)
    angle = torch.rad2deg(torch.tensor(0.1, dtype=torch.float64))
    up = quaternion_to_matrix(tilted(angle, ZERO, ZERO))
    assert_exact(up[:, 2], torch.tensor([0, -sin, cos], dtype=torch.float64))
    leaning = quaternion_to_matrix(tilted(ZERO, angle, ZERO))
    assert_exact(leaning[:, 2], torch.tensor([0, 0, 1], dtype=torch.float64))
    assert_exact(leaning[:, 0], torch.tensor([cos, sin, 0], dtype=torch.float64))
    right = quaternion_to_matrix(tilted(ZERO, ZERO, angle))
    assert_exact(right[:, 2], torch.tensor([sin, 0, cos], dtype=torch.float64))


def test_a_tilt_is_yaw_after_pitch_after_roll() -> None:
    generator = torch.Generator().manual_seed(0)
    pitch, roll, yaw = 60 * torch.rand(3, 40, dtype=torch.float64, generator=generator) - 30
    zero = torch.zeros_like(pitch)
    found = tilted(pitch, roll, yaw)
    assert_exact(found.norm(dim=-1), torch.ones_like(pitch))
    turned = compose(tilted(zero, zero, yaw), tilted(pitch, zero, zero))
    assert_exact(found, compose(turned, tilted(zero, roll, zero)))
    # R_y(yaw) R_z(roll) in ZYZ angles, where there is no pitch.
    expected = euler_zyz_to_matrix(zero, torch.deg2rad(yaw), torch.deg2rad(roll))
    assert_exact(quaternion_to_matrix(tilted(zero, roll, yaw)), expected)
    assert tilted(pitch[:, None], ZERO, yaw).shape == (40, 40, 4)


def test_a_pose_takes_points_to_the_vehicle() -> None:
    # A camera that looks ahead: its axis is x, its right is -y, its down is -z.
    pose = Pose((0.5, -0.5, 0.5, -0.5), (3.0, 0.5, 1.2))
    points = torch.tensor([[0.0, 0, 10], [2, 0, 10], [0, 1, 10]], dtype=torch.float64)
    expected = torch.tensor(
        [[13.0, 0.5, 1.2], [13, -1.5, 1.2], [13, 0.5, 0.2]], dtype=torch.float64
    )
    assert_exact(pose.apply(points), expected)


def test_wrong_poses_are_named() -> None:
    with pytest.raises(ValueError, match=r"rotation is .*; expected a unit quaternion"):
        Pose((1.0, 1.0, 0.0, 0.0))
    with pytest.raises(ValueError, match=r"translation is .*; expected three finite numbers"):
        Pose(translation=(0.0, math.inf, 0.0))
