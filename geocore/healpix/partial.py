"""From points of the sphere to places in a nested map of some base faces."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from geocore.healpix.grid import ALL_FACES, check_faces, check_nside
from geocore.healpix.interpolate import interp_weights
from geocore.healpix.locate import vec2pix

__all__ = ["PartialMap"]


class PartialMap:
    """Where the pixels of a nested map of ``faces``, one face after the other, are found."""

    def __init__(self, nside: int, faces: Sequence[int] = ALL_FACES) -> None:
        self.nside, self.faces = check_nside(nside), check_faces(faces)
        self.npix = len(self.faces) * nside**2
        self._first = torch.full((len(ALL_FACES),), -1)
        self._first[list(self.faces)] = torch.arange(len(self.faces)) * nside**2

    def containing(self, points: Tensor) -> Tensor:
        """The place of the pixel that contains each point, ``(..., 3)`` -> ``(...)``; -1: none."""
        return self._places(vec2pix(self.nside, points))

    def interpolated(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Places and weights of the four pixels that ``interp_weights`` names, ``(points, 4)``.

        A pixel that the map has not weighs 0, so a row may sum to less than one. What weighs 0
        names the place of the row's largest weight: what lies elsewhere in the map, an infinity
        say, never meets it. (It is place 0 in a row without any weight.)
        """
        x, y, z = points.unbind(-1)
        colatitude, longitude = torch.atan2(torch.hypot(x, y), z), torch.atan2(y, x)
        pixels, weight = interp_weights(self.nside, colatitude, longitude)
        index = self._places(pixels)
        weight = torch.where(index >= 0, weight, 0.0)
        largest = index.gather(-1, weight.argmax(dim=-1, keepdim=True))
        return torch.where(weight > 0, index, largest).clamp(min=0), weight

    def _places(self, pixels: Tensor) -> Tensor:
        start = self._first.to(pixels.device)[pixels // self.nside**2]
        return torch.where(start >= 0, start + pixels % self.nside**2, -1)
