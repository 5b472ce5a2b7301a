"""From an image file's bytes to 8-bit pixels, with Pillow."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geocore.data.sources.base import Images
from geocore.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Header", "decode", "header", "opened", "resize", "sound"]

_GREY = ("1", "L", "LA", "La")
_COLOUR = ("P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "HSV", "LAB")
_ORIENTATION = 0x0112


class Header(NamedTuple):
    """What an image says of itself before its pixels are read."""

    height: int
    width: int
    channels: int

    def __str__(self) -> str:
        return f"{self.width} x {self.height} pixels"


def header(data: Path | bytes, where: str) -> Header:
    """Size (as it is looked at, whatever orientation it is stored in), and 1 or 3 channels."""
    with opened(data, where) as image:
        if image.mode not in _GREY + _COLOUR:
            raise UserError(f"{where}: mode is {image.mode}; expected 8-bit grey or colour")
        with sound(where):
            turned = image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
        width, height = image.size[::-1] if turned else image.size
        return Header(height, width, 1 if image.mode in _GREY else 3)


def decode(data: Path | bytes, where: str, channels: int, side: int | None = None) -> Images:
    """Pixels ``(height, width, channels)``, resized to ``side`` x ``side`` if that is given.

    An EXIF orientation is applied, transparency dropped, grey made colour where ``channels`` is 3
    but not the other way. ``where`` names the image in the ``UserError`` for a broken one.
    """
    from PIL import ImageOps

    with opened(data, where) as image:
        if channels == 1 and image.mode in _COLOUR:
            raise UserError(f"{where}: a colour image; expected a grey one as the first is")
        with sound(where):
            upright = ImageOps.exif_transpose(image).convert("L" if channels == 1 else "RGB")
    pixels = np.asarray(upright).reshape(upright.height, upright.width, channels)
    return pixels if side is None else resize(pixels, side)


def resize(image: Images, side: int) -> Images:
    """``(height, width, channels)`` to ``(side, side, channels)``: bilinear, antialiased.

    Downwards, each new pixel is the mean of the old ones under a triangle as wide as the step.
    """
    if image.shape[:2] == (side, side):
        return image
    from PIL import Image

    plane = image[:, :, 0] if image.shape[2] == 1 else image
    small = Image.fromarray(plane).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(small).reshape(side, side, image.shape[2])


def opened(data: Path | bytes, where: str) -> Image.Image:
    """The image, its header read; ``UserError`` where Pillow is missing or cannot read it."""
    try:
        from PIL import Image
    except ImportError:
        raise UserError(
            "Pillow is not installed; expected it to read images: pip install pillow"
        ) from None
    with sound(where):
        return Image.open(data if isinstance(data, Path) else io.BytesIO(data))


@contextmanager
def sound(where: str) -> Iterator[None]:
    """What reads an image's bytes: whatever goes wrong there is a broken image."""
    try:
        yield
    except Exception as error:  # a decoder meets damage with whatever it then stumbles over
        raise _broken(where, error) from None


def _broken(where: str, error: Exception) -> UserError:
    from PIL import UnidentifiedImageError

    reason = "its bytes are no image" if isinstance(error, UnidentifiedImageError) else str(error)
    return UserError(f"{where}: broken image ({reason}); expected one that can be read")
