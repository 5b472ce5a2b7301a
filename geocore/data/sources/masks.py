"""A label image's file: one class number a pixel, never a colour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from geocore.data.sources.decode import opened, sound
from geocore.errors import UserError

__all__ = ["read_mask"]


def read_mask(path: Path) -> npt.NDArray[np.uint8]:
    """The numbers as they are stored, ``(height, width)``: of a palette image its indices.

    Raises ``UserError`` naming the file where it is missing, broken or of another mode.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected the image's labels")
    with opened(path, str(path)) as image:
        if image.mode not in ("L", "P"):
            raise UserError(f"{path}: mode is {image.mode}; expected one 8-bit number a pixel")
        with sound(str(path)):
            return np.array(image)
