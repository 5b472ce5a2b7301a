"""Which pixel contains a direction."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from geocore.healpix.grid import Ordering, check_nside, check_ordering, xyf2nest, xyf2ring

__all__ = ["pixel_radius", "vec2pix", "vec2xyf"]


def vec2xyf(nside: int, vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """In-face coordinates and base face of the pixels that contain ``vectors``, ``(..., 3)``.

    Pixel edges are the curves ``3 z / 4 +- 2 phi / pi = k / nside`` in the belt ``|z| <= 2/3``.
    In the caps they are those where ``t`` or ``1 - t`` times ``sqrt(3 (1 - |z|))`` is
    ``k / nside``, with ``t`` the part of a quadrant passed in longitude (Gorski et al., 2005,
    eqs. 19 to 22).
    Vectors need not be unit ones. Raises ``ValueError`` for a zero or non-finite vector.
    """
    check_nside(nside)
    if vectors.ndim == 0 or vectors.shape[-1] != 3:
        raise ValueError(f"vectors has shape {tuple(vectors.shape)}; expected (..., 3)")
    x, y, z = vectors.double().unbind(-1)
    across = torch.hypot(x, y)
    length = torch.hypot(across, z)
    if not bool((torch.isfinite(length) & (length > 0)).all()):
        raise ValueError("vectors has a zero or non-finite vector; expected directions")
    z = z / length
    quadrant = (torch.atan2(y, x) * (2 / math.pi)).remainder(4.0)

    # The belt: count the rising and the falling edges that were crossed.
    along, up = nside * (0.5 + quadrant), nside * z * 0.75
    rising, falling = (along - up).floor().long(), (along + up).floor().long()
    rising_face, falling_face = rising // nside, falling // nside
    belt_face = torch.where(rising_face == falling_face, rising_face % 4 + 4, falling_face + 8)
    belt_face = torch.where(rising_face < falling_face, rising_face, belt_face)
    belt_x, belt_y = falling % nside, nside - 1 - rising % nside

    # The caps: sin(theta) / sqrt((1 + |z|) / 3) is sqrt(3 (1 - |z|)) without cancellation.
    cap_face = quadrant.floor().clamp(max=3).long()
    passed = quadrant - cap_face
    radius = nside * (across / length) / ((1 + z.abs()) / 3).sqrt()
    east = (passed * radius).floor().long().clamp(max=nside - 1)
    west = ((1 - passed) * radius).floor().long().clamp(max=nside - 1)
    north = z >= 0
    cap_x = torch.where(north, nside - 1 - west, east)
    cap_y = torch.where(north, nside - 1 - east, west)

    in_belt = z.abs() <= 2 / 3
    face = torch.where(in_belt, belt_face, torch.where(north, cap_face, cap_face + 8))
    return torch.where(in_belt, belt_x, cap_x), torch.where(in_belt, belt_y, cap_y), face


def vec2pix(nside: int, vectors: Tensor, ordering: Ordering = "nested") -> Tensor:
    """The number of the pixel that contains each direction, ``(..., 3)`` -> ``(...)`` int64.

    ``vec2pix(nside, pix2vec(nside, p)) = p``. Raises as ``vec2xyf`` does.
    """
    check_ordering(ordering)
    x, y, face = vec2xyf(nside, vectors)
    return (xyf2nest if ordering == "nested" else xyf2ring)(nside, x, y, face)


def pixel_radius(nside: int) -> float:
    """The furthest, in radians, that a direction lies from the centre of its pixel.

    It is the pole-ward corner of the pixels whose centres lie on the belt's edge, ``z = 2/3``.
    """
    check_nside(nside)
    height = 1 - (1 - 1 / nside) ** 2 / 3
    corner = torch.tensor([math.sqrt(1 - height**2), 0.0, height], dtype=torch.float64)
    longitude, across = math.pi / (4 * nside), math.sqrt(5) / 3
    centre = [across * math.cos(longitude), across * math.sin(longitude), 2 / 3]
    cosine = float(corner @ torch.tensor(centre, dtype=torch.float64))
    return math.acos(min(cosine, 1.0))
