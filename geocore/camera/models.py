"""Lenses with a formula that can be inverted: one focal length in pixels each."""

from __future__ import annotations

import dataclasses
import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

from geocore.camera.lens import RadialCamera

__all__ = ["Equidistant", "Equisolid", "FocalCamera", "Pinhole", "RationalCamera", "Stereographic"]

Self = TypeVar("Self", bound="FocalCamera")


@dataclass(frozen=True)
class FocalCamera(RadialCamera):
    """``rho = focal g(theta)`` with ``g'(0) = 1``: ``focal`` is pixels a radian near the axis."""

    _unbounded: ClassVar[bool] = False  # no radius at the formula's end

    focal: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (math.isfinite(self.focal) and self.focal > 0):
            raise ValueError(f"focal is {self.focal}; expected a finite number of pixels above 0")

    @classmethod
    def from_angle_of_view(
        cls: type[Self], angle_of_view: float, height: int, width: int, **others: Any
    ) -> Self:
        """The centred camera whose image spans ``angle_of_view`` degrees, left edge to right.

        ``others`` are further fields: ``aspect``, ``limit``.
        """
        camera = cls(height, width, 1.0, **others)
        most = 2 * math.degrees(camera.formula_limit)
        if not 0 < angle_of_view <= most or (cls._unbounded and angle_of_view == most):
            bound = "below" if cls._unbounded else "at most"
            raise ValueError(
                f"angle_of_view is {angle_of_view}; expected degrees above 0 and {bound} "
                f"{most:.0f} for the {cls.model} camera"
            )
        half = torch.tensor(math.radians(angle_of_view) / 2, dtype=torch.float64)
        return dataclasses.replace(camera, focal=width / 2 / float(camera.radius(half)))

    def scaled(self: Self, factor: float, **others: Any) -> Self:
        return dataclasses.replace(self, focal=self.focal * factor, **others)


@dataclass(frozen=True)
class Equidistant(FocalCamera):
    """``rho = focal theta``: equal angles from the axis, equal steps in the image."""

    model: ClassVar[str] = "equidistant"

    @property
    def formula_limit(self) -> float:
        return math.pi

    def radius(self, theta: Tensor) -> Tensor:
        return self.focal * theta

    def slope(self, theta: Tensor) -> Tensor:
        return torch.full_like(theta, self.focal)

    def angle(self, radius: Tensor) -> Tensor:
        return (radius / self.focal).clamp(max=self.max_angle)


@dataclass(frozen=True)
class Equisolid(FocalCamera):
    """``rho = 2 focal sin(theta / 2)``: equal solid angles, equal areas in the image."""

    model: ClassVar[str] = "equisolid"

    @property
    def formula_limit(self) -> float:
        return math.pi

    def radius(self, theta: Tensor) -> Tensor:
        return 2 * self.focal * (theta / 2).sin()

    def slope(self, theta: Tensor) -> Tensor:
        return self.focal * (theta / 2).cos()

    def angle(self, radius: Tensor) -> Tensor:
        # The clamp keeps the arcsine's argument, and its slope, finite.
        sine = (radius / (2 * self.focal)).clamp(max=math.sin(self.max_angle / 2))
        return 2 * sine.asin()


@dataclass(frozen=True)
class RationalCamera(FocalCamera):
    """``(u, v)`` is a rational map of the direction, so no angle need be computed.

    With ``(a, b, c) = P (d, 1)``, ``P = homogeneous()`` and a unit direction ``d``, the image is
    the square ``|a / c| <= 1``, ``|b / c| <= 1`` where ``c > 0``.
    """

    _unbounded: ClassVar[bool] = True
    _shift: ClassVar[float]  # c = d_z + shift

    @abstractmethod
    def lift(self, x: Tensor, y: Tensor) -> Tensor:
        """A point of the plane of focal length 1 -> its unit direction ``(..., 3)``."""

    def homogeneous(self) -> Tensor:
        """The camera as a matrix ``(3, 4)``, float64.

        ``c = d_z`` (pinhole) or ``c = 1 + d_z`` (stereographic); ``a`` and ``b`` in halves of the
        image from its middle.
        """
        shift = self._shift
        across, down = self.width / 2, self.height / 2
        focal = self.focal * (1 + shift)
        u, v = self.offset[0] / across, self.offset[1] / down
        rows = [
            [focal / across, 0.0, u, u * shift],
            [0.0, self.aspect * focal / down, v, v * shift],
            [0.0, 0.0, 1.0, shift],
        ]
        return torch.tensor(rows, dtype=torch.float64)

    def project(self, directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        matrix = self.homogeneous().to(directions)
        a, b, c = (directions @ matrix[:, :3].T + matrix[:, 3]).unbind(-1)
        in_front = c > 0
        if self.limit is not None:
            x, y, z = directions.unbind(-1)
            theta = torch.atan2(torch.hypot(x, y), z)
            in_front = in_front & self.in_field(theta)
        u, v = (a / c + 1) * (self.width / 2) - 0.5, (b / c + 1) * (self.height / 2) - 0.5
        return u, v, in_front

    def unproject(self, u: Tensor, v: Tensor) -> Tensor:
        c_u, c_v = self.principal_point
        x, y = (u - c_u) / self.focal, (v - c_v) / (self.aspect * self.focal)
        if self.limit is not None:
            square, rim = x * x + y * y, self.max_radius / self.focal
            beyond = square > rim**2
            inward = torch.where(beyond, rim / torch.where(beyond, square, 1.0).sqrt(), 1.0)
            x, y = x * inward, y * inward
        return self.lift(x, y)


@dataclass(frozen=True)
class Pinhole(RationalCamera):
    """``rho = focal tan(theta)``: great circles become straight lines; the front hemisphere."""

    model: ClassVar[str] = "pinhole"
    _shift: ClassVar[float] = 0.0

    @property
    def formula_limit(self) -> float:
        return math.pi / 2

    def radius(self, theta: Tensor) -> Tensor:
        return self.focal * theta.tan()

    def slope(self, theta: Tensor) -> Tensor:
        return self.focal / theta.cos() ** 2

    def angle(self, radius: Tensor) -> Tensor:
        return (radius / self.focal).atan().clamp(max=self.max_angle)

    def lift(self, x: Tensor, y: Tensor) -> Tensor:
        length = (x * x + y * y + 1).sqrt()
        return torch.stack([x, y, torch.ones_like(x)], dim=-1) / length[..., None]


@dataclass(frozen=True)
class Stereographic(RationalCamera):
    """``rho = 2 focal tan(theta / 2)``: angles are kept; all but the point straight behind."""

    model: ClassVar[str] = "stereographic"
    _shift: ClassVar[float] = 1.0

    @property
    def formula_limit(self) -> float:
        return math.pi

    def radius(self, theta: Tensor) -> Tensor:
        return 2 * self.focal * (theta / 2).tan()

    def slope(self, theta: Tensor) -> Tensor:
        return self.focal / (theta / 2).cos() ** 2

    def angle(self, radius: Tensor) -> Tensor:
        return (2 * (radius / (2 * self.focal)).atan()).clamp(max=self.max_angle)

    def lift(self, x: Tensor, y: Tensor) -> Tensor:
        square = x * x + y * y
        return torch.stack([4 * x, 4 * y, 4 - square], dim=-1) / (4 + square)[..., None]
