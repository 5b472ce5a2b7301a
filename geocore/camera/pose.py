"""Where a camera looks: base poses, small tilts, and poses on a vehicle."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from geocore.so3.rotation import euler_zyz_to_matrix, matrix_to_quaternion, quaternion_to_matrix

__all__ = ["Pose", "look_at", "tilted"]


@dataclass(frozen=True)
class Pose:
    """``p_vehicle = R(rotation) p_camera + translation``.

    ``rotation`` is a unit quaternion ``(w, x, y, z)``, ``translation`` in metres. Vehicle frame:
    x forward, y left, z up; camera frame: x right, y down, z along the axis.
    """

    rotation: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)
    translation: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        rotation, translation = (
            tuple(map(float, self.rotation)),
            tuple(map(float, self.translation)),
        )
        if len(rotation) != 4 or not abs(math.hypot(*rotation) - 1) < 1e-6:
            raise ValueError(f"rotation is {self.rotation}; expected a unit quaternion")
        if len(translation) != 3 or not all(map(math.isfinite, translation)):
            raise ValueError(f"translation is {self.translation}; expected three finite numbers")

    def apply(self, points: Tensor) -> Tensor:
        """Points in the camera frame ``(..., 3)`` -> the same points in the vehicle's."""
        matrix = quaternion_to_matrix(torch.tensor(self.rotation, dtype=torch.float64))
        return points @ matrix.to(points).T + points.new_tensor(self.translation)


def look_at(colatitude: float, longitude: float) -> Tensor:
    """The unit quaternion ``(4,)`` of an upright camera that looks at a point of the sphere.

    Degrees. The camera sits at the centre: its axis goes to the point, the image's *up* to the
    north, so its *right* is west, as in the sky. At the poles *up* is the limit along the
    meridian of ``longitude``: away from it at the north pole, along it at the south pole.
    """
    angles = torch.deg2rad(torch.tensor([longitude, colatitude, -90.0], dtype=torch.float64))
    return matrix_to_quaternion(euler_zyz_to_matrix(*angles.unbind()))


def tilted(pitch: Tensor, roll: Tensor, yaw: Tensor) -> Tensor:
    """``R = R_y(yaw) R_x(pitch) R_z(roll)``: from a tilted camera's frame to the upright one's.

    Degrees, shapes broadcast, -> unit quaternions ``(..., 4)`` in float64. Each turns the camera
    about its own axis: ``yaw`` above 0 looks to the right, ``pitch`` above 0 looks up, ``roll``
    above 0 leans to the right (clockwise as seen from behind; the picture turns the other way).
    """
    pitch, roll, yaw = torch.broadcast_tensors(pitch, roll, yaw)
    half = torch.deg2rad(torch.stack([pitch, roll, yaw]).double()) / 2
    (a, b, c), (s, t, r) = half.cos().unbind(), half.sin().unbind()
    # The Hamilton product (c, 0, r, 0) (a, s, 0, 0) (b, 0, 0, t).
    return torch.stack(
        [
            a * b * c + r * s * t,
            c * s * b + r * a * t,
            r * a * b - c * s * t,
            c * a * t - r * s * b,
        ],
        dim=-1,
    )
