"""Pictures of HEALPix maps: Mollweide and orthographic views, montages, PNG files.

All views are drawn as seen from the centre of the sphere, north up and **east to the left**, as
maps of the sky are. A camera at the centre sees the sphere the same way, so what it projected
reads as it did in the flat image.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geocore.healpix.grid import (
    ALL_FACES,
    Ordering,
    check_faces,
    check_ordering,
    nside_of,
    pixel_numbers,
    ring_order,
)
from geocore.healpix.locate import vec2pix
from geocore.runs.atomic import write_bytes

__all__ = ["View", "ahead", "colours", "mollweide", "montage", "orthographic", "write_png"]

Picture = npt.NDArray[np.uint8]

_OVERSAMPLING = 3  # drawn this much finer and averaged: smooth edges
_PAPER = 255.0
_INVALID = 205.0  # a grey that the colour map has not
_GRID_DEGREES = 30.0
_GRID_OPACITY = (0.25, 0.6)  # on data, and on grey

# Magma, by Nathaniel Smith and Stefan van der Walt (matplotlib, CC0), at 17 equal steps.
_MAGMA = (
    "000004 0a0822 1d1147 36106b 51127c 6a1c81 832681 9c2e7f b73779 d0416f e75263 f56b5c fc8961"
    " fea772 fec488 fde2a3 fcfdbf"
)


def colours(values: Tensor, limits: tuple[float, float] | None = None) -> Tensor:
    """Numbers ``(...)`` -> RGB ``(..., 3)`` from 0 to 255, dark to light, float64.

    ``limits`` become the two ends of the colour map; the default is the values' own range.
    """
    low, high = limits if limits is not None else (float(values.min()), float(values.max()))
    anchors = torch.tensor([list(bytes.fromhex(code)) for code in _MAGMA.split()]).double()
    place = ((values.double() - low) / max(high - low, 1e-300)).clamp(0, 1) * (len(anchors) - 1)
    below = place.floor().clamp(max=len(anchors) - 2).long()
    return torch.lerp(anchors[below], anchors[below + 1], (place - below)[..., None])


@dataclass(frozen=True)
class View:
    """What each point of a picture shows: worked out once, painted with many maps.

    ``pixels (height, width)`` nested pixel numbers of the whole sphere, -1 off the sphere, and
    ``lines`` True on the meridians and parallels; both finer than the picture they give.
    """

    nside: int
    pixels: Tensor
    lines: Tensor

    def paint(
        self,
        values: Tensor,
        faces: Sequence[int] = ALL_FACES,
        ordering: Ordering = "nested",
        valid: Tensor | None = None,
        limits: tuple[float, float] | None = None,
    ) -> Picture:
        """The map as a picture ``(height, width, 3)``.

        ``values (npix,)`` or ``(npix, 1)`` go through ``colours``, ``(npix, 3)`` are RGB in
        [0, 1]. Pixels that are not ``valid (npix,)``, and faces that the map has not, are grey.
        """
        check_ordering(ordering)
        faces, npix = check_faces(faces), len(values)
        channels = values[:1].numel()
        if values.ndim not in (1, 2) or channels not in (1, 3):
            found = tuple(values.shape)
            raise ValueError(f"values has shape {found}; expected (npix,), (npix, 1) or (npix, 3)")
        if nside_of(npix, faces) != self.nside:
            raise ValueError(f"values has {npix} pixels; expected nside {self.nside}")
        known = torch.ones(npix, dtype=torch.bool) if valid is None else valid
        if channels == 3:
            painted = values.double().clamp(0, 1) * 255
        else:
            flat = values.reshape(npix)
            painted = colours(flat, limits or _range(flat[known]))

        # By nested pixel number of the sphere, then paper, which the number -1 finds.
        own = pixel_numbers(self.nside, faces)
        if ordering == "ring":
            own = own[ring_order(self.nside, faces)]
        sphere = torch.full((12 * self.nside**2 + 1, 3), _INVALID)
        opacity = torch.full((len(sphere),), _GRID_OPACITY[1])
        sphere[own[known]], opacity[own[known]] = painted[known].float(), _GRID_OPACITY[0]
        sphere[-1], opacity[-1] = _PAPER, 0.0
        fine = sphere[self.pixels]
        fine += (_PAPER - fine) * (opacity[self.pixels] * self.lines)[..., None]
        n = _OVERSAMPLING
        picture = fine.unflatten(0, (-1, n)).unflatten(2, (-1, n)).mean(dim=(1, 3))
        return np.asarray(picture.round().to(torch.uint8))


def mollweide(nside: int, *, longitude: float = 0.0, width: int = 800) -> View:
    """The whole sphere at equal area: an ellipse in a picture ``(width / 2, width)``.

    ``longitude`` in degrees is at the middle. With ``2 a + sin(2 a) = pi sin(latitude)``, a point
    lies at ``longitude cos(a) / pi`` of the half width and ``sin(a)`` of the half height.
    """
    x, y = _plane(width, max(1, width // 2))
    angle = torch.asin(y)
    latitude = torch.asin((2 * angle + (2 * angle).sin()) / math.pi)
    # East is to the left.
    east = math.radians(longitude) - math.pi * x / angle.cos()
    across = latitude.cos()
    directions = torch.stack([across * east.cos(), across * east.sin(), latitude.sin()], dim=-1)
    return _view(nside, directions, x * x + y * y <= 1)


def orthographic(
    nside: int, *, colatitude: float = 90.0, longitude: float = 0.0, size: int = 400
) -> View:
    """The half of the sphere around a direction (degrees): a disc in a picture ``(size, size)``.

    *Up* is north, at the poles the limit along ``longitude``.
    """
    theta, phi = math.radians(colatitude), math.radians(longitude)
    x, y = _plane(size, size)
    ahead = _vector(theta, phi)
    north = -_vector(theta + math.pi / 2, phi)
    west = _vector(math.pi / 2, phi - math.pi / 2)
    square = x * x + y * y
    depth = (1 - square).clamp(min=0).sqrt()
    directions = x[..., None] * west + y[..., None] * north + depth[..., None] * ahead
    return _view(nside, directions, square <= 1)


def ahead(nside: int, frame: Tensor, *, size: int = 400) -> View:
    """The half of the sphere before a camera, as it sees it: a disc in a picture ``(size, size)``.

    ``frame (3, 3)`` takes the camera's frame (x to the right, y down, z along the axis) to the
    sphere's, so the image's *up* is up wherever the camera looks.
    """
    if frame.shape != (3, 3):
        raise ValueError(f"frame has shape {tuple(frame.shape)}; expected (3, 3)")
    x, y = _plane(size, size)
    square = x * x + y * y
    depth = (1 - square).clamp(min=0).sqrt()
    return _view(nside, torch.stack([x, -y, depth], dim=-1) @ frame.T.double(), square <= 1)


def montage(pictures: Sequence[Picture], captions: Sequence[str], columns: int) -> Picture:
    """Pictures of one size in rows of ``columns``, each with its caption above it.

    Needs Pillow (``pip install geocore[data]``).
    """
    from PIL import Image, ImageDraw, ImageFont

    if not pictures or len(pictures) != len(captions):
        found = f"{len(pictures)} pictures and {len(captions)} captions"
        raise ValueError(f"pictures and captions are {found}; expected as many of each, at least 1")
    height, width, _ = pictures[0].shape
    text = max(12, width // 22)
    gap, band = text // 2, text * 2
    rows = -(-len(pictures) // columns)
    columns = min(columns, len(pictures))
    size = (columns * (width + gap) + gap, rows * (height + band) + gap)
    sheet = Image.new("RGB", size, (int(_PAPER),) * 3)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(text)
    for number, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        row, column = divmod(number, columns)
        left, top = gap + column * (width + gap), row * (height + band)
        pen.text((left + width / 2, top + band / 2), caption, (60, 60, 60), font, anchor="mm")
        sheet.paste(Image.fromarray(picture), (left, top + band))
    return np.asarray(sheet)


def write_png(path: Path, picture: Picture) -> None:
    """Write a picture ``(height, width, 3)`` as PNG, atomically; equal pictures, equal bytes.

    Needs Pillow (``pip install geocore[data]``).
    """
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="PNG", compress_level=9)
    write_bytes(path, stream.getvalue())


def _plane(width: int, height: int) -> tuple[Tensor, Tensor]:
    """Points of an oversampled picture: x to the right and y up, each from -1 to 1."""
    fine = [_OVERSAMPLING * count for count in (width, height)]
    across, down = (2 * (torch.arange(n).double() + 0.5) / n - 1 for n in fine)
    y, x = torch.meshgrid(-down, across, indexing="ij")
    return x, y


def _vector(theta: float, phi: float) -> Tensor:
    entries = [
        math.sin(theta) * math.cos(phi), math.sin(theta) * math.sin(phi), math.cos(theta)
    ]  # fmt: skip
    return torch.tensor(entries, dtype=torch.float64)


def _view(nside: int, directions: Tensor, seen: Tensor) -> View:
    pixels = torch.full(seen.shape, -1)
    pixels[seen] = vec2pix(nside, directions[seen])
    lines = torch.zeros(seen.shape, dtype=torch.bool)
    lines[seen] = _on_graticule(directions[seen])
    return View(nside, pixels, lines)


def _range(values: Tensor) -> tuple[float, float]:
    return (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)


def _on_graticule(directions: Tensor) -> Tensor:
    """True on the meridians and parallels of every 30 degrees, half a degree wide."""
    x, y, z = directions.unbind(-1)
    across = torch.hypot(x, y)
    latitude, longitude = torch.rad2deg(torch.atan2(z, across)), torch.rad2deg(torch.atan2(y, x))
    half = _GRID_DEGREES / 2
    parallel = ((latitude + half).remainder(2 * half) - half).abs()
    meridian = ((longitude + half).remainder(2 * half) - half).abs() * across
    # Meridians end before they crowd at the poles.
    return (parallel < 0.25) | ((meridian < 0.25) & (latitude.abs() < 80))
