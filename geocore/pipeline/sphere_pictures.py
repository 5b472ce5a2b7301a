"""Pictures of a few maps of a table: the first of each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from geocore.data.table import Table
from geocore.healpix.draw import mollweide, montage, orthographic, write_png
from geocore.runs.atomic import replacing
from geocore.so3.rotation import quaternion_to_matrix

__all__ = ["draw_samples"]

_MOST = 10
_COLUMNS = 5
_MOLLWEIDE_WIDTH = 360
_DISC_SIZE = 280


def draw_samples(table: Table, folder: Path) -> None:
    """Write ``folder`` with ``mollweide.png`` and ``orthographic.png``, replacing it as a whole.

    The Mollweide views show where on the sphere the images lie, all of them alike; an
    orthographic view looks along its own image's optical axis.
    """
    kind = table.info.type
    if kind.nside is None or kind.faces is None or kind.ordering is None:
        raise ValueError(f"table has type {kind}; expected HEALPix maps")
    rows = _rows(table)
    images, valid = table.images(rows), table.valid(rows)
    axes = quaternion_to_matrix(torch.from_numpy(table.column("rotation")[rows]))[..., 2]
    colatitudes = torch.rad2deg(torch.acos(axes[:, 2].clamp(-1, 1))).tolist()
    longitudes = torch.rad2deg(torch.atan2(axes[:, 1], axes[:, 0])).tolist()
    # 8-bit images span the colour map from 0 to their full level, others from least to greatest.
    levels = 255.0 if kind.dtype == "uint8" else 1.0
    limits = (0.0, 1.0) if kind.dtype == "uint8" or table.info.normaliser == 255.0 else None
    alike = table.info.camera is not None and table.info.camera.rotation == "none"
    middle = longitudes[0] if alike else 0.0
    sphere = mollweide(kind.nside, longitude=middle, width=_MOLLWEIDE_WIDTH)
    directions = list(zip(colatitudes, longitudes, strict=True))
    ahead = {
        (theta, phi): orthographic(kind.nside, colatitude=theta, longitude=phi, size=_DISC_SIZE)
        for theta, phi in set(directions)
    }
    whole, discs = [], []
    for image, seen, direction in zip(images, valid, directions, strict=True):
        values = image.double() / levels
        values = values if kind.channels == 3 else values[:, :1]
        shown = (values, kind.faces, kind.ordering, seen, limits)
        whole.append(sphere.paint(*shown))
        discs.append(ahead[direction].paint(*shown))
    captions = _captions(table, rows)
    with replacing(folder) as temporary:
        write_png(temporary / "mollweide.png", montage(whole, captions, _COLUMNS))
        write_png(temporary / "orthographic.png", montage(discs, captions, _COLUMNS))


def _rows(table: Table) -> np.ndarray:
    """The first row of each class, up to ten; the first rows where there are no classes."""
    if table.info.type.label_kind != "class":
        return np.arange(min(_MOST, len(table)))
    _, first = np.unique(table.column("label"), return_index=True)
    return np.asarray(first[:_MOST], dtype=np.int64)


def _captions(table: Table, rows: np.ndarray) -> list[str]:
    if table.info.type.label_kind != "class":
        return [f"sample {sample}" for sample in table.column("sample")[rows]]
    names = table.info.classes
    labels = table.column("label")[rows].tolist()
    return [names[label] if names else f"class {label}" for label in labels]
