"""The closed forms behind the index mathematics: no branch, no table, nothing checked.

All take int64 tensors and an ``nside`` that is a power of two, so that divisions are shifts; all
compile to one loop. Names: ``ring`` counts from 1 at the north pole, ``length`` is a quarter of a
ring's number of pixels, ``x`` and ``y`` run to the north-east and the north-west of a face from its
south corner. The public functions are those of ``geocore.healpix.grid`` and its neighbours.

Source: Gorski et al., HEALPix, ApJ 622 (2005), sections 4 and 5.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from geocore.healpix.bits import compress, spread

__all__ = [
    "bits_of",
    "cap_distance",
    "centre_of",
    "extent_of",
    "height_of",
    "locate",
    "longitude_of",
    "nest_to_xyf",
    "ring_colatitude",
    "ring_of",
    "ring_start",
    "ring_to_xyf",
    "xyf_to_nest",
    "xyf_to_ring",
]


def bits_of(nside: int) -> int:
    """The base-2 logarithm of ``nside``."""
    return nside.bit_length() - 1


def nest_to_xyf(nside: int, pixel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Even bits, odd bits, and what lies above them."""
    bits = bits_of(nside)
    return compress(pixel, bits), compress(pixel >> 1, bits), pixel >> 2 * bits


def xyf_to_nest(nside: int, x: Tensor, y: Tensor, face: Tensor) -> Tensor:
    """The inverse of ``nest_to_xyf``."""
    bits = bits_of(nside)
    return face << 2 * bits | spread(x, bits) | spread(y, bits) << 1


def ring_of(nside: int, x: Tensor, y: Tensor, face: Tensor) -> tuple[Tensor, Tensor]:
    """``ring`` and ``length``. Faces of a row have their centres on ring 2, 3 or 4 times nside."""
    ring = ((face >> 2) + 2) * nside - x - y - 1
    return ring, torch.minimum(ring, 4 * nside - ring).clamp(max=nside)


def longitude_of(x: Tensor, y: Tensor, face: Tensor, length: Tensor) -> Tensor:
    """A pixel centre's longitude in units of ``pi / (4 length)``, negative in face 4's west.

    A face's own is 0, 2, 4, 6 times pi/4 in the belt and 1, 3, 5, 7 times in the caps.
    """
    own = ((face & 3) << 1) + 1 - ((face >> 2) & 1)
    return own * length + x - y


def xyf_to_ring(nside: int, x: Tensor, y: Tensor, face: Tensor) -> Tensor:
    """Pixels before the ring, and the place along it: half the longitude, rounded down."""
    ring, length = ring_of(nside, x, y, face)
    place = longitude_of(x, y, face, length) >> 1
    place = torch.where(place < 0, place + 4 * length, place)
    return ring_start(nside, ring, length) + place


def ring_start(nside: int, ring: Tensor, length: Tensor) -> Tensor:
    """The number of a ring's first pixel: ``2 i (i - 1)`` in the cap, 4 nside a ring in the belt.

    The south cap mirrors the north one.
    """
    bits = bits_of(nside)
    cap = 2 * length * length
    belt = (ring << bits + 2) - 2 * nside * (nside + 1)
    south = 12 * nside**2 - cap - 2 * length
    return torch.where(ring < nside, cap - 2 * length, torch.where(ring > 3 * nside, south, belt))


def ring_to_xyf(nside: int, pixel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The inverse of ``xyf_to_ring``."""
    bits, last = bits_of(nside), nside - 1
    cap = 2 * nside * (nside - 1)
    from_pole = torch.minimum(pixel, 12 * nside**2 - 1 - pixel)
    in_cap, north = from_pole < cap, pixel < 6 * nside**2

    # A cap's pixel p lies on ring i where 2 i (i - 1) <= p < 2 i (i + 1). A square root in float64
    # is exact enough for integers below 2^52; here they stay below 2^45.
    ring = (1 + (1 + 2 * from_pole).double().sqrt().long()) >> 1
    place = from_pole - 2 * ring * (ring - 1)
    place = torch.where(north, place, 4 * ring - 1 - place)
    quarter = (place >= ring).long() + (place >= 2 * ring).long() + (place >= 3 * ring).long()
    place = place - quarter * ring
    cap_x = torch.where(north, nside - ring + place, place)
    cap_y = torch.where(north, last - place, ring - 1 - place)
    cap_face = torch.where(north, quarter, quarter + 8)

    # In the belt a pixel lies where a rising diagonal meets a falling one.
    along = pixel - cap
    step, place = along >> bits + 2, along & (4 * nside - 1)
    rising, falling = place + (step >> 1), place + nside - ((step + 1) >> 1)
    belt_face = _belt_face(rising >> bits, falling >> bits)
    x = torch.where(in_cap, cap_x, falling & last)
    y = torch.where(in_cap, cap_y, ~rising & last)
    return x, y, torch.where(in_cap, cap_face, belt_face)


def locate(
    nside: int, z: Tensor, radius: Tensor, longitude: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """In-face coordinates and face of directions.

    ``z`` is the height, ``radius = sqrt(3 (1 - |z|))`` (asked for, since near the poles it cannot
    be had from ``z``), ``longitude`` any angle, all float64. Pixel edges are the curves
    ``3 z / 4 +- 2 phi / pi = k / nside`` in the belt ``|z| <= 2/3``. In the caps they are those
    where ``t`` or ``1 - t`` times ``radius`` is ``k / nside``, with ``t`` the part of a quadrant
    passed in longitude (Gorski et al., 2005, eqs. 19 to 22).
    """
    bits, last = bits_of(nside), nside - 1
    quadrant = longitude * (2 / math.pi)
    quadrant = quadrant - 4 * (quadrant * 0.25).floor()
    quadrant = torch.where(quadrant < 4, quadrant, 0.0)  # a rounding up from just below 0

    # The belt: count the rising and the falling edges that were crossed.
    along, up = nside * (0.5 + quadrant), nside * z * 0.75
    rising, falling = (along - up).long(), (along + up).long()
    belt_face = _belt_face(rising >> bits, falling >> bits)

    # The caps: count the edges that were crossed from the pole to the east and to the west.
    whole = quadrant.floor()
    passed = quadrant - whole
    scaled = nside * radius
    east = (passed * scaled).long().clamp(max=last)
    west = ((1 - passed) * scaled).long().clamp(max=last)
    north, cap_face = z >= 0, whole.long()
    cap_x = torch.where(north, last - west, east)
    cap_y = torch.where(north, last - east, west)
    cap_face = torch.where(north, cap_face, cap_face + 8)

    in_belt = z.abs() <= 2 / 3
    x = torch.where(in_belt, falling & last, cap_x)
    y = torch.where(in_belt, ~rising & last, cap_y)
    return x, y, torch.where(in_belt, belt_face, cap_face)


def _belt_face(rising: Tensor, falling: Tensor) -> Tensor:
    """The face from the diagonals' numbers in units of nside: north, belt or south."""
    face = torch.where(rising < falling, rising, falling + 8)
    return torch.where(rising == falling, (rising & 3) + 4, face)


def cap_distance(nside: int, ring: Tensor, length: Tensor) -> Tensor:
    """``1 - |z|`` of a ring, float64 and without cancellation at the poles.

    ``i^2 / (3 nside^2)`` on the ring ``i <= nside`` from a pole; in the belt
    ``|z| = 2 |2 - i / nside| / 3`` (Gorski et al., 2005, eqs. 4 to 9).
    """
    cap = length.double() ** 2 / (3 * nside**2)
    belt = 1 - (2 * nside - ring).abs().double() * (2 / (3 * nside))
    return torch.where((ring < nside) | (ring > 3 * nside), cap, belt)


def ring_colatitude(nside: int, ring: Tensor, length: Tensor) -> Tensor:
    """A ring's angle from the north pole.

    From ``1 - |z| = 2 sin(theta / 2)^2``, which loses nothing where the cosine is flat.
    """
    from_pole = 2 * (0.5 * cap_distance(nside, ring, length)).sqrt().asin()
    return torch.where(ring <= 2 * nside, from_pole, math.pi - from_pole)


def height_of(colatitude: Tensor) -> tuple[Tensor, Tensor]:
    """``z`` and ``sqrt(3 (1 - |z|))`` as ``locate`` wants them, from angles in [0, pi]."""
    half = (0.5 * torch.minimum(colatitude, math.pi - colatitude)).sin()
    height = 1 - 2 * half * half
    return torch.where(colatitude <= math.pi / 2, height, -height), math.sqrt(6) * half


def centre_of(nside: int, x: Tensor, y: Tensor, face: Tensor) -> Tensor:
    """A pixel's centre, a unit vector ``(..., 3)`` in float64."""
    ring, length = ring_of(nside, x, y, face)
    from_pole = cap_distance(nside, ring, length)
    z = 1 - from_pole
    across = (from_pole * (1 + z)).sqrt()
    longitude = longitude_of(x, y, face, length).double() / length * (math.pi / 4)
    z = torch.where(ring <= 2 * nside, z, -z)
    # Columns first: compiled, this computes without gaps and is copied to its place after.
    columns = torch.stack([across * longitude.cos(), across * longitude.sin(), z])
    return columns.movedim(0, -1).contiguous()


def extent_of(nside: int) -> float:
    """The furthest, in radians, that a direction lies from the centre of its pixel.

    It is the pole-ward corner of the pixels whose centres lie on the belt's edge, ``z = 2/3``.
    The distance from ``(a, 0, h)`` to ``(c cos(p), c sin(p), 2/3)`` comes from the chord, since
    the cosine of a small angle says little about it.
    """
    drop = (2 / nside - 1 / nside**2) / 3  # h - 2/3, with h = 1 - (1 - 1/nside)^2 / 3
    height = 2 / 3 + drop
    corner, centre = math.sqrt((1 - height) * (1 + height)), math.sqrt(5) / 3
    turn = math.sin(math.pi / (8 * nside))
    # corner - centre without cancellation: the difference of the squares over the sum.
    inward = -drop * (4 / 3 + drop) / (corner + centre)
    chord = math.sqrt(inward**2 + drop**2 + 4 * corner * centre * turn**2)
    return 2 * math.asin(chord / 2)
