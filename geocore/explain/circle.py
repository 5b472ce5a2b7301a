"""The smallest task with ridges: is a point of the plane inside a circle?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from geocore.explain.hidden import HiddenMap
from geocore.explain.lyapunov import lyapunov_exponents
from geocore.explain.section import ExponentField, Section
from geocore.explain.tanh_network import tanh_network
from geocore.models.functional import Functional

__all__ = ["RADIUS", "CircleFigures", "circle_figures", "circle_network", "circle_samples"]

RADIUS = math.sqrt(2 / math.pi)
"""Of the boundary: half of the square ``[-1, 1]^2`` lies inside."""

_DIRECTIONS = 64
_STEPS, _REACH = 25, 0.12  # of a search for the crest along a normal, and how far to each side


def circle_samples(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Uniform points of ``[-1, 1]^2`` with target 1 inside the circle, -1 outside.

    ``(count, 2)`` and ``(count, 1)``, float32.
    """
    x = 2 * torch.rand(count, 2, generator=torch.Generator().manual_seed(seed)) - 1
    return x, torch.where(x.norm(dim=1) < RADIUS, 1.0, -1.0)[:, None]


def circle_network(depth: int, width: int, seed: int) -> nn.Sequential:
    """``depth`` hidden layers of ``width``, tanh after each and after the read-out of one number.

    Weights ``N(0, 1 / fan-in)``, biases 0. Raises ``ValueError`` for sizes below 1.
    """
    if depth < 1 or width < 1:
        raise ValueError(f"depth, width are {depth}, {width}; expected at least 1")
    return tanh_network((2, *[width] * depth, 1), seed, bounded=True)


@dataclass(frozen=True)
class CircleFigures:
    """Of each network, all ``(members,)`` float64, or scalars of one network.

    ``ridge``: L lambda at the crest near the circle, the mean over 64 directions; ``centre``: L
    lambda at 0; ``alignment``: the mean of ``|<v, n>|`` at the crests, with v the stretching
    direction and n the circle's normal; ``accuracy`` on the section's grid; ``exponent (..., size,
    size)`` L lambda there, and ``direction (..., size, size, 2)``; ``near (size, size)``: which of
    its points count as near the circle; ``depth``: L.
    """

    ridge: Tensor
    centre: Tensor
    alignment: Tensor
    accuracy: Tensor
    exponent: Tensor
    direction: Tensor
    near: Tensor
    depth: int

    @property
    def contrast(self) -> Tensor:
        """``ridge - centre``."""
        return self.ridge - self.centre

    def field(self, member: int | None = None) -> ExponentField:
        """That of a member, or of the one network, over the square."""
        exponent, direction = self.exponent / self.depth, self.direction
        if member is not None:
            exponent, direction = exponent[member], direction[member]
        size = self.near.shape[0]
        section = Section.plane(1.0, size, dtype=direction.dtype)
        return ExponentField(section, exponent, direction, self.depth)


def circle_figures(
    network: nn.Sequential,
    parameters: Mapping[str, Tensor] | None = None,
    *,
    size: int = 60,
    within: float = 0.05,
) -> CircleFigures:
    """What training on the circle has made of the field of exponents.

    The crest is the largest of 25 values along the normal, at most 0.12 off the circle. A point is
    ``near`` if at most ``within`` off. ``parameters (members, *shape)`` as in
    ``lyapunov_exponents``, of the whole network.
    """
    hidden = HiddenMap(network)
    some = next(network.parameters())
    angle = 2 * math.pi * torch.arange(_DIRECTIONS, dtype=torch.float64) / _DIRECTIONS
    normal = torch.stack([angle.cos(), angle.sin()], dim=1).to(some)
    radii = RADIUS + torch.linspace(-_REACH, _REACH, _STEPS).to(some)
    crossing = radii[:, None, None] * normal  # (steps, directions, 2)
    grid = Section.plane(1.0, size, dtype=some.dtype).points().to(some.device).flatten(0, 1)
    points = torch.cat([grid.new_zeros(1, 2), crossing.flatten(0, 1), grid])
    found = lyapunov_exponents(hidden, points, parameters)
    parts = [1, _STEPS * _DIRECTIONS, len(grid)]
    centre, across, field = found.total.double().split(parts, dim=-1)
    best = across.unflatten(-1, (_STEPS, _DIRECTIONS)).max(dim=-2)
    _, crossed, pointed = found.direction.split(parts, dim=-2)
    cosine = (crossed.unflatten(-2, (_STEPS, _DIRECTIONS)) * normal).sum(dim=-1).abs().double()
    chosen = cosine.gather(-2, best.indices[..., None, :])[..., 0, :]
    outputs = _outputs(network, grid, parameters)
    radius = grid.double().norm(dim=1)
    right = (outputs > 0) == (radius < RADIUS)
    return CircleFigures(
        ridge=best.values.mean(dim=-1),
        centre=centre[..., 0],
        alignment=chosen.mean(dim=-1),
        accuracy=right.double().mean(dim=-1),
        exponent=field.unflatten(-1, (size, size)),
        direction=pointed.unflatten(-2, (size, size)),
        near=((radius - RADIUS).abs() <= within).view(size, size),
        depth=hidden.depth,
    )


def _outputs(network: nn.Module, x: Tensor, parameters: Mapping[str, Tensor] | None) -> Tensor:
    with torch.no_grad():
        if not parameters:
            return network(x)[:, 0]  # type: ignore[no-any-return]
        call = Functional(network)
        found: Tensor = torch.func.vmap(lambda own: call(own, x)[:, 0])(dict(parameters))
        return found
