"""What all cameras share: a radial lens in front of a flat image, and its inverse."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

__all__ = ["RadialCamera", "valid_pixels"]

_AXIS = 1e-12  # radians from the axis within which the lens is its tangent; beyond 1e-20 px exact
_ROUNDING = 1e-12  # radians that a direction on the rim of the field may be off
_STEPS = 80  # bisection alone would take 53
_POINTS = 2**14  # radii inverted at a time: they stay in the cache
_ULPS = 4  # a last step this small is rounding

Self = TypeVar("Self", bound="RadialCamera")


@dataclass(frozen=True)
class RadialCamera(ABC):
    """``u = rho(theta) cos(phi) + c_u``, ``v = aspect rho(theta) sin(phi) + c_v``, in pixels.

    ``theta`` is a direction's angle from the optical axis, ``phi`` its angle about it, from x to
    y. Camera frame: looks along +z, x to the right, y down. Pixel ``(row, column)`` is centred on
    ``(v, u) = (row, column)``; the image covers ``u`` from ``-1/2`` to ``width - 1/2`` and ``v``
    from ``-1/2`` to ``height - 1/2``, edges included. The axis meets the image at ``offset``
    (pixels, right and down) from its middle: ``c_u = offset[0] + width / 2 - 1/2``.

    ``limit``: where the lens ends, degrees from the axis; ``None`` where its formula ends. A model
    states ``radius`` (``rho``, rising up to ``formula_limit``) and ``slope`` (its derivative);
    ``angle``, their inverse, is found by Newton's method unless the model knows better.
    """

    model: ClassVar[str]

    height: int
    width: int
    offset: tuple[float, float] = field(default=(0.0, 0.0), kw_only=True)
    aspect: float = field(default=1.0, kw_only=True)
    limit: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        sides = (self.height, self.width)
        if not all(isinstance(side, int) for side in sides) or min(sides) < 1:
            raise ValueError(
                f"height is {self.height}, width {self.width}; expected whole numbers of pixels, "
                "at least one each"
            )
        offset = tuple(map(float, self.offset))
        if len(offset) != 2 or not all(map(math.isfinite, offset)):
            raise ValueError(f"offset is {self.offset}; expected two finite numbers of pixels")
        if not (math.isfinite(self.aspect) and self.aspect > 0):
            raise ValueError(f"aspect is {self.aspect}; expected a finite number above 0")
        if self.limit is not None and not 0 < self.limit <= 180:
            raise ValueError(f"limit is {self.limit}; expected degrees above 0 and at most 180")

    @abstractmethod
    def radius(self, theta: Tensor) -> Tensor:
        """``rho``: pixels from the principal point of a direction ``theta`` from the axis."""

    @abstractmethod
    def slope(self, theta: Tensor) -> Tensor:
        """``d rho / d theta``, pixels a radian."""

    @property
    @abstractmethod
    def formula_limit(self) -> float:
        """Radians from the axis up to which ``radius`` rises."""

    @abstractmethod
    def scaled(self: Self, factor: float, **others: Any) -> Self:
        """The camera with ``factor`` times the radius, and ``others`` of its fields replaced."""

    def angle(self, radius: Tensor) -> Tensor:
        """``theta`` where ``rho(theta) = radius``, to machine precision; differentiable.

        ``max_angle`` for radii beyond the field. A lens whose radius has no bound must have an
        inverse of its own: Newton's steps vanish where the slope does not.
        """
        found: Tensor = _Inverse.apply(radius.clamp(0.0, self.max_radius), self)  # type: ignore[no-untyped-call]
        return found

    @property
    def principal_point(self) -> tuple[float, float]:
        """``(c_u, c_v)``: where the axis meets the image."""
        return (
            self.offset[0] + self.width / 2 - 0.5,
            self.offset[1] + self.height / 2 - 0.5,
        )

    @cached_property
    def max_angle(self) -> float:
        """Radians from the axis beyond which nothing has an image, inside the frame or out."""
        lens = math.pi if self.limit is None else math.radians(self.limit)
        return min(lens, self.formula_limit)

    @cached_property
    def max_radius(self) -> float:
        """``rho(max_angle)`` in pixels."""
        return float(self.radius(torch.tensor(self.max_angle, dtype=torch.float64)))

    @cached_property
    def reach(self) -> float:
        """Radians from the axis to the image's furthest corner or the end of the field."""
        u, v = self.principal_point
        across = max(abs(-0.5 - u), abs(self.width - 0.5 - u))
        down = max(abs(-0.5 - v), abs(self.height - 0.5 - v)) / self.aspect
        return float(self.angle(torch.tensor(math.hypot(across, down), dtype=torch.float64)))

    def project(self, directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Unit directions in the camera frame ``(..., 3)`` -> ``u``, ``v`` and ``in_front``.

        ``in_front`` is False beyond ``max_angle`` from the axis and straight behind, where nothing
        has an image; ``u`` and ``v`` mean nothing there. Differentiable, on the axis too.
        """
        x, y, z = directions.unbind(-1)
        square = x * x + y * y
        on_axis, behind = (square <= _AXIS**2) & (z > 0), (square == 0) & (z <= 0)
        across = torch.where(on_axis | behind, 1.0, square).sqrt()
        theta = torch.atan2(across, z)
        tangent = self.slope(torch.zeros_like(theta))
        scale = torch.where(on_axis, tangent, self.radius(theta) / across)
        c_u, c_v = self.principal_point
        in_front = on_axis | (self.in_field(theta) & ~behind)
        return x * scale + c_u, y * (self.aspect * scale) + c_v, in_front

    def unproject(self, u: Tensor, v: Tensor) -> Tensor:
        """Image coordinates -> unit directions in the camera frame ``(..., 3)``.

        The inverse of ``project`` wherever the camera ``sees``; beyond, the direction at the rim
        of the field. Differentiable, at the principal point too.
        """
        c_u, c_v = self.principal_point
        x, y = u - c_u, (v - c_v) / self.aspect
        square = x * x + y * y
        on_axis = square <= _AXIS**2
        radius = torch.where(on_axis, 1.0, square).sqrt()
        theta = torch.where(on_axis, 0.0, self.angle(radius))
        scale = torch.where(on_axis, 1 / self.slope(torch.zeros_like(theta)), theta.sin() / radius)
        return torch.stack([x * scale, y * scale, theta.cos()], dim=-1)

    def in_field(self, theta: Tensor) -> Tensor:
        """True up to ``max_angle``, and a rounding beyond: points on the rim must come back."""
        return theta <= self.max_angle + _ROUNDING

    def sees(self, u: Tensor, v: Tensor) -> Tensor:
        """True where an image point has a direction: no further out than the field's rim."""
        c_u, c_v = self.principal_point
        return torch.hypot(u - c_u, (v - c_v) / self.aspect) <= self.max_radius * (1 + _ROUNDING)

    def covers(self, u: Tensor, v: Tensor, in_front: Tensor) -> Tensor:
        """True where a projected direction lies in the image, its edges included."""
        across = (u >= -0.5) & (u <= self.width - 0.5)
        return in_front & across & (v >= -0.5) & (v <= self.height - 0.5)

    def resized(self: Self, height: int, width: int) -> Self:
        """The camera of the same image at another size: ``u' + 1/2 = (u + 1/2) width' / width``.

        Edges stay where they are; where the two factors differ, ``aspect`` takes it up.
        """
        across, down = width / self.width, height / self.height
        return self.scaled(
            across,
            height=height,
            width=width,
            offset=(self.offset[0] * across, self.offset[1] * down),
            # One quotient of integers: 1 where the image keeps its shape.
            aspect=self.aspect * ((height * self.width) / (self.height * width)),
        )


def valid_pixels(camera: RadialCamera) -> Tensor:
    """The pixels whose centre sees a direction: ``(height, width)`` bool."""
    u = torch.arange(camera.width, dtype=torch.float64)
    v = torch.arange(camera.height, dtype=torch.float64)
    return camera.sees(u[None, :], v[:, None])


class _Inverse(torch.autograd.Function):
    """``theta`` of ``rho(theta) = r``; by the implicit function ``d theta / d r = 1 / rho'``."""

    @staticmethod
    def forward(ctx: Any, radius: Tensor, camera: RadialCamera) -> Tensor:
        parts = radius.flatten().split(_POINTS)
        theta = torch.cat([_newton(part, camera) for part in parts]).view_as(radius)
        ctx.save_for_backward(theta)
        ctx.camera = camera
        return theta

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (theta,) = ctx.saved_tensors
        return gradient / ctx.camera.slope(theta), None


def _newton(radius: Tensor, camera: RadialCamera) -> Tensor:
    """Newton's method kept inside a bracket that shrinks: halved where a step would leave it."""
    low = torch.zeros_like(radius)
    high = torch.full_like(radius, camera.max_angle)
    theta = (radius / camera.slope(low)).clamp(max=camera.max_angle)
    for _ in range(_STEPS):
        error = camera.radius(theta) - radius
        low, high = torch.where(error <= 0, theta, low), torch.where(error >= 0, theta, high)
        step = theta - error / camera.slope(theta)
        inside = (step >= low) & (step <= high)
        following = torch.where(inside, step, (low + high) / 2)
        moved = float((following - theta).abs().max()) if theta.numel() else 0.0
        theta = following
        if moved <= _ULPS * torch.finfo(theta.dtype).eps * camera.max_angle:
            break
    return theta
