"""Gnomonic and stereographic cameras: a flat image laid onto the sphere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from geocore.camera.pose import look_at

__all__ = ["PlanarCamera", "look_at"]


@dataclass(frozen=True)
class PlanarCamera:
    """``(x, y) = f(theta) (cos phi, sin phi)``, with ``theta`` from the optical axis.

    ``f = tan(theta)`` (gnomonic: great circles become straight lines; the front hemisphere) or
    ``f = 2 tan(theta / 2)`` (stereographic: angles are kept; all but the point behind).

    Camera frame: looks along +z, x to the right, y down. ``angle_of_view`` in degrees spans the
    image's width from edge to edge; pixels are square, pixel ``(row, column)`` is centred on
    ``(v, u) = (row, column)``, and the image covers ``u`` from ``-1/2`` to ``width - 1/2`` and
    ``v`` from ``-1/2`` to ``height - 1/2``, edges included.
    """

    projection: Literal["gnomonic", "stereographic"]
    angle_of_view: float
    height: int
    width: int

    def __post_init__(self) -> None:
        limits = {"gnomonic": 180, "stereographic": 360}
        if self.projection not in limits:
            found = repr(self.projection)
            raise ValueError(f"projection is {found}; expected 'gnomonic' or 'stereographic'")
        if not 0 < self.angle_of_view < limits[self.projection]:
            raise ValueError(
                f"angle_of_view is {self.angle_of_view}; expected degrees above 0 and below "
                f"{limits[self.projection]} for a {self.projection} projection"
            )
        if self.height < 1 or self.width < 1:
            raise ValueError(
                f"height is {self.height}, width {self.width}; expected at least one pixel each"
            )

    @property
    def half_width(self) -> float:
        """``x`` at the image's right edge."""
        half = math.radians(self.angle_of_view) / 2
        return math.tan(half) if self.projection == "gnomonic" else 2 * math.tan(half / 2)

    @property
    def reach(self) -> float:
        """Radians from the optical axis to the image's corners: nothing lies further out."""
        corner = self.half_width * math.hypot(1.0, self.height / self.width)
        return math.atan(corner) if self.projection == "gnomonic" else 2 * math.atan(corner / 2)

    def homogeneous(self) -> Tensor:
        """The camera as a ``(3, 4)`` matrix ``P``: both projections are one rational map.

        With ``(a, b, c) = P (d, 1)`` for a unit direction ``d``, the image is the square
        ``|a / c| <= 1``, ``|b / c| <= 1`` where ``c > 0``: ``c = d_z`` (gnomonic), or
        ``c = 1 + d_z`` with ``(a, b)`` doubled (stereographic).
        """
        gnomonic = self.projection == "gnomonic"
        scale = (1.0 if gnomonic else 2.0) / self.half_width
        rows = [
            [scale, 0.0, 0.0, 0.0],
            [0.0, scale * self.width / self.height, 0.0, 0.0],
            [0.0, 0.0, 1.0, 0.0 if gnomonic else 1.0],
        ]
        return torch.tensor(rows, dtype=torch.float64)

    def project(self, directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Unit directions in the camera frame ``(..., 3)`` -> ``u``, ``v`` and ``in_front``.

        ``in_front`` is False where the projection has no image: behind the camera (gnomonic) or
        straight behind it (stereographic); ``u`` and ``v`` mean nothing there.
        """
        matrix = self.homogeneous().to(directions)
        a, b, c = (directions @ matrix[:, :3].T + matrix[:, 3]).unbind(-1)
        u = (a / c + 1) * (self.width / 2) - 0.5
        v = (b / c + 1) * (self.height / 2) - 0.5
        return u, v, c > 0

    def unproject(self, u: Tensor, v: Tensor) -> Tensor:
        """Image coordinates -> unit directions in the camera frame ``(..., 3)``.

        The inverse of ``project``, to 1e-12 in float64.
        """
        pixel = 2 * self.half_width / self.width
        x = (u - (self.width - 1) / 2) * pixel
        y = (v - (self.height - 1) / 2) * pixel
        if self.projection == "gnomonic":
            length = (x * x + y * y + 1).sqrt()
            return torch.stack([x, y, torch.ones_like(x)], dim=-1) / length[..., None]
        square = x * x + y * y
        return torch.stack([4 * x, 4 * y, 4 - square], dim=-1) / (4 + square)[..., None]

    def covers(self, u: Tensor, v: Tensor, in_front: Tensor) -> Tensor:
        """True where a projected direction lies in the image, its edges included."""
        across = (u >= -0.5) & (u <= self.width - 0.5)
        return in_front & across & (v >= -0.5) & (v <= self.height - 0.5)
