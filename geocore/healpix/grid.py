"""HEALPix pixels: their numbers in nested and ring order, and where their centres lie.

Pixel numbers run over the whole sphere, ``0 .. 12 nside^2 - 1``, as int64 tensors of any shape on
any device. A *map* may hold a rising selection of the 12 base faces only: nested maps list those
faces one after the other, ring maps list all pixels of those faces in ring order.

Source: Gorski et al., HEALPix, ApJ 622 (2005), sections 4 and 5; in-face coordinates as in the
authors' C++ library: ``x`` to the north-east, ``y`` to the north-west from a face's south corner.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

__all__ = [
    "ALL_FACES",
    "Ordering",
    "check_faces",
    "check_nside",
    "check_ordering",
    "check_pixel",
    "nest2ring",
    "nest2xyf",
    "nside_of",
    "pix2vec",
    "pixel_centres",
    "pixel_numbers",
    "ring2nest",
    "ring2xyf",
    "ring_order",
    "xyf2nest",
    "xyf2ring",
    "xyf2vec",
]

Ordering = Literal["nested", "ring"]
ALL_FACES = tuple(range(12))

# A face's centre in units of nside rings from the north pole, and of pi/4 in longitude.
_FACE_RING = (2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4)
_FACE_LONGITUDE = (1, 3, 5, 7, 0, 2, 4, 6, 1, 3, 5, 7)


def nest2xyf(nside: int, pixel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Nested number -> in-face ``x`` and ``y``, its even and its odd bits, and base face."""
    check_pixel(nside, pixel)
    inside = pixel % nside**2
    return _even_bits(inside), _even_bits(inside >> 1), pixel // nside**2


def xyf2nest(nside: int, x: Tensor, y: Tensor, face: Tensor) -> Tensor:
    """The inverse of ``nest2xyf``."""
    check_nside(nside)
    return face * nside**2 + _spread_bits(x) + (_spread_bits(y) << 1)


def xyf2ring(nside: int, x: Tensor, y: Tensor, face: Tensor) -> Tensor:
    """In-face coordinates -> ring number: rings from north to south, each from longitude 0 east."""
    ring, length, shift = _ring(nside, x, y, face)
    place = _place(nside, x, y, face, length, shift)
    north = 2 * ring * (ring - 1)
    belt = 2 * nside * (nside - 1) + (ring - nside) * 4 * nside
    south = 12 * nside**2 - 2 * length * (length + 1)
    start = torch.where(ring < nside, north, torch.where(ring > 3 * nside, south, belt))
    return start + place


def ring2xyf(nside: int, pixel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The inverse of ``xyf2ring``."""
    check_pixel(nside, pixel)
    npix, cap = 12 * nside**2, 2 * nside * (nside - 1)
    in_north, in_south = pixel < cap, pixel >= npix - cap
    # A cap's pixel p lies on ring i where 2 i (i - 1) <= p < 2 i (i + 1).
    cap_pixel = torch.where(in_south, npix - 1 - pixel, pixel)
    cap_ring = (1 + _integer_root(1 + 2 * cap_pixel)) // 2
    cap_place = cap_pixel - 2 * cap_ring * (cap_ring - 1)
    cap_place = torch.where(in_south, 4 * cap_ring - 1 - cap_place, cap_place)
    belt_ring = (pixel - cap) // (4 * nside) + nside
    belt_place = (pixel - cap) % (4 * nside)
    ring = torch.where(in_north, cap_ring, torch.where(in_south, 4 * nside - cap_ring, belt_ring))
    in_cap = in_north | in_south
    length = torch.where(in_cap, cap_ring, nside)
    place = torch.where(in_cap, cap_place, belt_place)
    shift = torch.where(in_cap, 0, (ring - nside) & 1)

    # In the belt the face follows from the two diagonals that the pixel lies on.
    step = ring - nside
    falling = (place + nside - (step + 1) // 2) // nside
    rising = (place + nside - (2 * nside + 1 - step) // 2) // nside
    belt_face = torch.where(falling == rising, falling % 4 + 4, falling + 8)
    belt_face = torch.where(rising < falling, rising, belt_face)
    cap_face = place // length + 8 * in_south
    face = torch.where(in_cap, cap_face, belt_face)

    # Rotated coordinates about the face's centre: x + y from the ring, x - y from the longitude.
    face_ring = pixel.new_tensor(_FACE_RING)[face]
    face_longitude = pixel.new_tensor(_FACE_LONGITUDE)[face]
    total = face_ring * nside - ring - 1
    difference = 2 * place + 1 - shift - face_longitude * length
    difference = torch.where(difference >= 2 * nside, difference - 8 * nside, difference)
    return (total + difference) // 2, (total - difference) // 2, face


def nest2ring(nside: int, pixel: Tensor) -> Tensor:
    """Nested number -> ring number."""
    return xyf2ring(nside, *nest2xyf(nside, pixel))


def ring2nest(nside: int, pixel: Tensor) -> Tensor:
    """Ring number -> nested number."""
    return xyf2nest(nside, *ring2xyf(nside, pixel))


def xyf2vec(nside: int, x: Tensor, y: Tensor, face: Tensor) -> Tensor:
    """In-face coordinates -> the pixel's centre, a unit vector ``(..., 3)`` in float64.

    ``z = 1 - i^2 / (3 nside^2)`` on the ring ``i < nside`` of the north cap, ``z = (4 - 2 i /
    nside) / 3`` in the belt (Gorski et al., eqs. 4 to 9); the south mirrors the north.
    """
    ring, length, shift = _ring(nside, x, y, face)
    place = _place(nside, x, y, face, length, shift).double()
    longitude = (place + 0.5 - 0.5 * shift) * (math.pi / 2) / length
    from_pole = length.double() ** 2 / (3 * nside**2)
    in_belt = (ring >= nside) & (ring <= 3 * nside)
    sign = torch.where(ring < nside, 1.0, -1.0).double()
    z = torch.where(in_belt, (4 - 2 * ring.double() / nside) / 3, sign * (1 - from_pole))
    # 1 - z^2 without cancellation near the poles.
    sine_squared = torch.where(in_belt, 1 - z * z, from_pole * (2 - from_pole))
    sine = sine_squared.sqrt()
    return torch.stack([sine * longitude.cos(), sine * longitude.sin(), z], dim=-1)


def pix2vec(nside: int, pixel: Tensor, ordering: Ordering = "nested") -> Tensor:
    """Pixel number -> its centre, a unit vector ``(..., 3)`` in float64."""
    check_ordering(ordering)
    return xyf2vec(nside, *(nest2xyf if ordering == "nested" else ring2xyf)(nside, pixel))


def pixel_numbers(
    nside: int, faces: Sequence[int] = ALL_FACES, ordering: Ordering = "nested"
) -> Tensor:
    """The number (in ``ordering``) of each pixel of a map of those faces, ``(npix,)`` int64."""
    check_nside(nside)
    check_ordering(ordering)
    first = torch.tensor(check_faces(faces)) * nside**2
    nested = (first[:, None] + torch.arange(nside**2)).reshape(-1)
    return nested if ordering == "nested" else nest2ring(nside, nested).sort().values


def ring_order(nside: int, faces: Sequence[int] = ALL_FACES) -> Tensor:
    """``ring_map = nested_map[ring_order]``: a permutation ``(npix,)`` of those faces' pixels."""
    return nest2ring(nside, pixel_numbers(nside, faces)).argsort()


def pixel_centres(
    nside: int, faces: Sequence[int] = ALL_FACES, ordering: Ordering = "nested"
) -> Tensor:
    """Centres of a map's pixels in the map's order, ``(len(faces) * nside**2, 3)`` float64."""
    return pix2vec(nside, pixel_numbers(nside, faces, ordering), ordering)


def nside_of(npix: int, faces: Sequence[int] = ALL_FACES) -> int:
    """The ``nside`` of a map with ``npix`` pixels on those faces; ``ValueError`` if none has."""
    per_face, rest = divmod(npix, len(check_faces(faces)))
    nside = math.isqrt(per_face)
    if rest or nside < 1 or nside**2 != per_face or nside & (nside - 1):
        raise ValueError(
            f"npix is {npix}; expected {len(faces)} faces of nside**2 pixels, nside a power of two"
        )
    return nside


def check_nside(nside: int) -> int:
    """``nside``, or ``ValueError`` if it is not a power of two from 1 to 8192."""
    if not 1 <= nside <= 8192 or nside & (nside - 1):
        raise ValueError(f"nside is {nside}; expected a power of two from 1 to 8192")
    return nside


def check_faces(faces: Sequence[int]) -> tuple[int, ...]:
    """``faces`` as a tuple, or ``ValueError`` if it is not a rising list of base faces."""
    found = tuple(faces)
    if not found or sorted({*found} & {*ALL_FACES}) != list(found):
        raise ValueError(f"faces is {found}; expected a rising list of base faces from 0 to 11")
    return found


def check_ordering(ordering: str) -> None:
    """``ValueError`` if ``ordering`` is neither of the two."""
    if ordering not in ("nested", "ring"):
        raise ValueError(f"ordering is {ordering!r}; expected 'nested' or 'ring'")


def check_pixel(nside: int, pixel: Tensor) -> None:
    check_nside(nside)
    if pixel.dtype != torch.int64:
        raise TypeError(f"pixel is {pixel.dtype}; expected torch.int64")
    if pixel.numel() and not 0 <= int(pixel.min()) <= int(pixel.max()) < 12 * nside**2:
        found = f"{int(pixel.min())} to {int(pixel.max())}"
        raise ValueError(f"pixel runs from {found}; expected 0 to {12 * nside**2 - 1}")


def _ring(nside: int, x: Tensor, y: Tensor, face: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The ring from 1, a quarter of its number of pixels, and 1 if its first is at longitude 0."""
    ring = face.new_tensor(_FACE_RING)[face] * nside - x - y - 1
    length = torch.minimum(ring, 4 * nside - ring).clamp(max=nside)
    in_belt = (ring >= nside) & (ring <= 3 * nside)
    return ring, length, torch.where(in_belt, (ring - nside) & 1, 0)


def _place(nside: int, x: Tensor, y: Tensor, face: Tensor, length: Tensor, shift: Tensor) -> Tensor:
    """The pixel's place along its ring, from 0."""
    longitude = face.new_tensor(_FACE_LONGITUDE)[face]
    return ((longitude * length + x - y - 1 + shift) // 2) % (4 * length)


def _spread_bits(value: Tensor) -> Tensor:
    """Bit ``i`` -> bit ``2 i``, for values below 2^16."""
    value = (value | (value << 8)) & 0x00FF00FF
    value = (value | (value << 4)) & 0x0F0F0F0F
    value = (value | (value << 2)) & 0x33333333
    return (value | (value << 1)) & 0x55555555


def _even_bits(value: Tensor) -> Tensor:
    """Bit ``2 i`` -> bit ``i``: the inverse of ``_spread_bits``; odd bits are dropped."""
    value = value & 0x55555555
    value = (value | (value >> 1)) & 0x33333333
    value = (value | (value >> 2)) & 0x0F0F0F0F
    value = (value | (value >> 4)) & 0x00FF00FF
    return (value | (value >> 8)) & 0x0000FFFF


def _integer_root(value: Tensor) -> Tensor:
    """``floor(sqrt(value))``; exact below 2^52, which is far above any pixel number."""
    return value.double().sqrt().floor().long()
