"""Pictures of a few maps of a table: the first of each class, or images above their labels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from geocore.data.table import IGNORED, Table
from geocore.healpix.draw import ahead, mollweide, montage, orthographic, write_png
from geocore.pipeline.drawn_pixels import DrawnPixels
from geocore.pipeline.palette import coloured
from geocore.runs.atomic import replacing
from geocore.so3.rotation import quaternion_to_matrix

__all__ = ["draw_samples"]

_MOST = 10
_MOST_DENSE = 5
_COLUMNS = 5
_MOLLWEIDE_WIDTH = 360
_DISC_SIZE = 280


def draw_samples(table: Table, folder: Path) -> None:
    """Write ``folder`` with ``mollweide.png`` and ``orthographic.png``, replacing it as a whole.

    The Mollweide views show where on the sphere the images lie, all of them alike; an
    orthographic view looks along its own image's optical axis, north up. Below the images of a
    dense table stand their labels, a colour a class, and their depth, all as the camera saw them.
    """
    kind = table.info.type
    pixels = DrawnPixels.of(kind)
    rows = _rows(table)
    frames = quaternion_to_matrix(torch.from_numpy(table.column("rotation")[rows]))
    axes = frames[..., 2]
    colatitudes = torch.rad2deg(torch.acos(axes[:, 2].clamp(-1, 1))).tolist()
    longitudes = torch.rad2deg(torch.atan2(axes[:, 1], axes[:, 0])).tolist()
    alike = table.info.camera is not None and table.info.camera.rotation == "none"
    middle = longitudes[0] if alike else 0.0
    sphere = mollweide(pixels.nside, longitude=middle, width=_MOLLWEIDE_WIDTH)
    if kind.label_kind == "mask":  # as the camera saw it, at the poles too
        views = [ahead(pixels.nside, frame, size=_DISC_SIZE) for frame in frames]
    else:
        directions = list(zip(colatitudes, longitudes, strict=True))
        upright = {
            at: orthographic(pixels.nside, colatitude=at[0], longitude=at[1], size=_DISC_SIZE)
            for at in set(directions)
        }
        views = [upright[at] for at in directions]
    whole, discs, captions = [], [], []
    for layer in _layers(table, rows):
        captions += layer.captions
        for values, seen, view in zip(layer.values, layer.seen, views, strict=True):
            shown, known = pixels.take(values), pixels.take(seen)
            about = (pixels.faces, pixels.ordering, known, layer.limits)
            whole.append(sphere.paint(shown, *about))
            discs.append(view.paint(shown, *about))
    columns = _COLUMNS if kind.label_kind != "mask" else len(rows)
    with replacing(folder) as temporary:
        write_png(temporary / "mollweide.png", montage(whole, captions, columns))
        write_png(temporary / "orthographic.png", montage(discs, captions, columns))


class _Layer(NamedTuple):
    """One picture a sample: ``values (n, npix, 1 or 3)``, which of them are known, and limits."""

    values: Tensor
    seen: Tensor
    limits: tuple[float, float] | None
    captions: list[str]


def _layers(table: Table, rows: np.ndarray) -> Iterator[_Layer]:
    """The images, then of a dense table labels and depth."""
    kind = table.info.type
    images, valid = table.images(rows), table.valid(rows)
    # 8-bit images span the colour map from 0 to their full level, others from least to greatest.
    levels = 255.0 if kind.dtype == "uint8" else 1.0
    limits = (0.0, 1.0) if kind.dtype == "uint8" or table.info.normaliser == 255.0 else None
    values = images.double().reshape(len(rows), kind.pixels, -1) / levels
    values = values if kind.channels == 3 else values[..., :1]
    yield _Layer(values, valid, limits, _captions(table, rows))
    if kind.label_kind != "mask":
        return
    labels = table.labels(rows)
    known = valid & (labels != IGNORED)
    classes = table.info.classes
    if not classes:  # colours by their numbers
        classes = tuple(map(str, range(int(labels[labels != IGNORED].max()) + 1)))
    yield _Layer(coloured(labels, classes), known, None, ["labels"] * len(rows))
    if "depth" not in table.columns:
        return
    depths = table.depths(rows)
    known = valid & (depths > 0)
    if not known.any():
        return
    near, far = float(depths[known].min()), float(depths[known].max())
    logarithms = torch.where(known, depths, near).log()[..., None]
    caption = f"{near:.1f} to {far:.0f} m"
    yield _Layer(logarithms, known, (math.log(near), math.log(far)), [caption] * len(rows))


def _rows(table: Table) -> np.ndarray:
    """The first row of each class, up to ten; the first rows where there are no classes.

    Of a dense table up to five, from each split and view in turn.
    """
    if table.info.type.label_kind == "mask":
        views = table.column("view") if "view" in table.columns else np.zeros(len(table), np.uint8)
        kinds = table.column("split").astype(np.int64) * 256 + views
        turn = np.zeros(len(table), np.int64)  # how many of the same kind come before
        for entry in np.unique(kinds):
            turn[kinds == entry] = np.arange(int((kinds == entry).sum()))
        return np.sort(np.lexsort((kinds, turn))[:_MOST_DENSE])
    if table.info.type.label_kind != "class":
        return np.arange(min(_MOST, len(table)))
    _, first = np.unique(table.column("label"), return_index=True)
    return np.asarray(first[:_MOST], dtype=np.int64)


def _captions(table: Table, rows: np.ndarray) -> list[str]:
    if table.info.type.label_kind != "class":
        captions = [f"sample {sample}" for sample in table.column("sample")[rows]]
        if "view" not in table.columns:
            return captions
        views = [table.info.views[view] for view in table.column("view")[rows]]
        return [f"{caption}, {view}" for caption, view in zip(captions, views, strict=True)]
    names = table.info.classes
    labels = table.column("label")[rows].tolist()
    return [names[label] if names else f"class {label}" for label in labels]
