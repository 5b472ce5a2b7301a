"""Cameras that the tests of this folder share."""

from __future__ import annotations

import torch
from torch import Tensor

from geocore.camera.lens import RadialCamera
from geocore.camera.models import Equidistant, Equisolid, Pinhole, Stereographic
from geocore.camera.polynomial import RadialPolynomial

# WoodScape's front camera: Yogamani et al., 2019.
FRONT = RadialPolynomial(966, 1280, (339.749, -31.988, 48.275, -7.201), offset=(3.942, -3.093))

# Each model plain, and with all that may be set; the last three see nothing in their corners.
LENSES: list[RadialCamera] = [
    Pinhole.from_angle_of_view(100.0, 28, 28),
    Pinhole(20, 31, 14.0, offset=(1.5, -2.0), aspect=1.1),
    Pinhole(20, 31, 14.0, limit=40.0),
    Stereographic.from_angle_of_view(250.0, 30, 17),
    Stereographic(12, 18, 5.0, offset=(-30.0, 2.0), aspect=0.8),
    Stereographic(12, 18, 5.0, limit=70.0),
    Equidistant.from_angle_of_view(190.0, 24, 32),
    Equidistant(24, 32, 9.0, offset=(0.3, 2.0), aspect=1.2, limit=95.0),
    Equisolid.from_angle_of_view(200.0, 15, 21),
    FRONT.resized(24, 32),
    Equisolid(12, 16, 2.5, offset=(0.5, -0.5)),
    Equidistant(12, 16, 6.0, limit=60.0),
    RadialPolynomial(30, 40, (20.0, 0.0, -3.0), offset=(1.0, 0.5), aspect=0.9),
]
NAMES = [f"{number}-{camera.model}" for number, camera in enumerate(LENSES)]


def image_points(camera: RadialCamera, step: float = 0.5) -> tuple[Tensor, Tensor]:
    """Points over the whole image, its edges included, ``(rows, columns)`` each."""
    v = torch.arange(-0.5, camera.height - 0.5 + 1e-9, step, dtype=torch.float64)
    u = torch.arange(-0.5, camera.width - 0.5 + 1e-9, step, dtype=torch.float64)
    grid_v, grid_u = torch.meshgrid(v, u, indexing="ij")
    return grid_u, grid_v


def rim_points(camera: RadialCamera) -> tuple[Tensor, Tensor]:
    """Points at the end of the lens's field and just inside, ``(points,)`` each."""
    inward = torch.tensor([0.0, 1e-15, 1e-12, 1e-9, 1e-6, 1e-3], dtype=torch.float64)[:, None]
    phi = torch.linspace(0.0, 6.0, 25, dtype=torch.float64)
    radius = camera.max_radius * (1 - inward)
    c_u, c_v = camera.principal_point
    u, v = c_u + radius * phi.cos(), c_v + camera.aspect * radius * phi.sin()
    return u.flatten(), v.flatten()


def direction(theta: float, phi: float) -> Tensor:
    angle, turn = torch.tensor(theta, dtype=torch.float64), torch.tensor(phi, dtype=torch.float64)
    return torch.stack([angle.sin() * turn.cos(), angle.sin() * turn.sin(), angle.cos()])
