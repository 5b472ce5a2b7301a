"""HEALPix pixels: their numbers in nested and ring order, and where their centres lie.

Pixel numbers run over the whole sphere, ``0 .. 12 nside^2 - 1``, as int64 tensors of any shape on
any device. A *map* may hold a rising selection of the 12 base faces only: nested maps list those
faces one after the other, ring maps list all pixels of those faces in ring order.

``nside`` is a power of two up to 2^20. All functions raise ``ValueError`` for an ``nside``, a
pixel or a coordinate that does not exist and ``TypeError`` for numbers that are not int64, and all
compile without a break (``torch.compile``), then without looking at the values.

Source: Gorski et al., HEALPix, ApJ 622 (2005), sections 4 and 5; in-face coordinates as in the
authors' C++ library: ``x`` to the north-east, ``y`` to the north-west from a face's south corner.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from geocore.healpix.arithmetic import (
    centre_of,
    longitude_of,
    nest_to_xyf,
    ring_colatitude,
    ring_of,
    ring_to_xyf,
    xyf_to_nest,
    xyf_to_ring,
)
from geocore.healpix.checks import (
    ALL_FACES,
    MAX_NSIDE,
    Ordering,
    check_faces,
    check_nside,
    check_ordering,
    check_pixel,
    check_range,
)

__all__ = [
    "ALL_FACES",
    "MAX_NSIDE",
    "Ordering",
    "check_faces",
    "check_nside",
    "check_ordering",
    "check_pixel",
    "nest2ring",
    "nest2xyf",
    "nside_of",
    "pix2ang",
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


def nest2xyf(nside: int, pixel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Nested number -> in-face ``x`` and ``y``, its even and its odd bits, and base face."""
    check_pixel(nside, pixel)
    return nest_to_xyf(nside, pixel)


def xyf2nest(nside: int, x: Tensor, y: Tensor, face: Tensor) -> Tensor:
    """The inverse of ``nest2xyf``."""
    _check_xyf(nside, x, y, face)
    return xyf_to_nest(nside, x, y, face)


def xyf2ring(nside: int, x: Tensor, y: Tensor, face: Tensor) -> Tensor:
    """In-face coordinates -> ring number: rings from north to south, each from longitude 0 east."""
    _check_xyf(nside, x, y, face)
    return xyf_to_ring(nside, x, y, face)


def ring2xyf(nside: int, pixel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The inverse of ``xyf2ring``."""
    check_pixel(nside, pixel)
    return ring_to_xyf(nside, pixel)


def nest2ring(nside: int, pixel: Tensor) -> Tensor:
    """Nested number -> ring number."""
    check_pixel(nside, pixel)
    return xyf_to_ring(nside, *nest_to_xyf(nside, pixel))


def ring2nest(nside: int, pixel: Tensor) -> Tensor:
    """Ring number -> nested number."""
    check_pixel(nside, pixel)
    return xyf_to_nest(nside, *ring_to_xyf(nside, pixel))


def xyf2vec(nside: int, x: Tensor, y: Tensor, face: Tensor) -> Tensor:
    """In-face coordinates -> the pixel's centre, a unit vector ``(..., 3)`` in float64.

    ``z = 1 - i^2 / (3 nside^2)`` on the ring ``i < nside`` of the north cap, ``z = (4 - 2 i /
    nside) / 3`` in the belt (Gorski et al., eqs. 4 to 9); the south mirrors the north.
    """
    _check_xyf(nside, x, y, face)
    return centre_of(nside, x, y, face)


def pix2vec(nside: int, pixel: Tensor, ordering: Ordering = "nested") -> Tensor:
    """Pixel number -> its centre, a unit vector ``(..., 3)`` in float64."""
    return centre_of(nside, *_pix2xyf(nside, pixel, ordering))


def pix2ang(nside: int, pixel: Tensor, ordering: Ordering = "nested") -> tuple[Tensor, Tensor]:
    """Pixel number -> colatitude in (0, pi) and longitude in [0, 2 pi) of its centre, float64."""
    x, y, face = _pix2xyf(nside, pixel, ordering)
    ring, length = ring_of(nside, x, y, face)
    longitude = longitude_of(x, y, face, length).double() / length * (math.pi / 4)
    longitude = torch.where(longitude < 0, longitude + 2 * math.pi, longitude)
    return ring_colatitude(nside, ring, length), longitude


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


def _pix2xyf(nside: int, pixel: Tensor, ordering: Ordering) -> tuple[Tensor, Tensor, Tensor]:
    check_ordering(ordering)
    check_pixel(nside, pixel)
    return (nest_to_xyf if ordering == "nested" else ring_to_xyf)(nside, pixel)


def _check_xyf(nside: int, x: Tensor, y: Tensor, face: Tensor) -> None:
    check_nside(nside)
    check_range(x, nside, "x")
    check_range(y, nside, "y")
    check_range(face, 12, "face")
