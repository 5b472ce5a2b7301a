"""Rows of a table of projected images -> columns of a table of maps on the sphere."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geocore.camera.lens import valid_pixels
from geocore.camera.rotated import RotatedSampler
from geocore.camera.sampling import SharedSampler
from geocore.data.table import IGNORED, Table
from geocore.data.tablecamera import table_camera
from geocore.data.tabletype import TableInfo, TableType
from geocore.healpix.grid import pixel_centres, ring_order
from geocore.so3.driscoll_healy import driscoll_healy_directions

__all__ = ["OntoSphere"]

_CHUNK_BYTES = 16 * 2**20  # planar images held as floats at a time
_ROWS = 64  # samples whose validity is compared at a time


class OntoSphere:
    """Interpolates the images of ``projected`` at the points of the grid that ``info`` names.

    One sparse operator where all samples lie alike (``camera.alike``), directions computed sample
    by sample otherwise. A centre is valid where the pixel that contains it is: inside the image,
    the lens's field, and the sample's own ``valid``.
    """

    def __init__(self, projected: Table, info: TableInfo) -> None:
        plane, kind, camera = projected.info.type, info.type, info.camera
        if camera is None:
            raise ValueError(f"info is {info}; expected a camera")
        if plane.height is None or plane.width is None:
            raise ValueError(f"projected has type {plane}; expected a complete planar type")
        self.projected, self.info = projected, info
        self.rotations = torch.from_numpy(projected.column("rotation"))
        self._size = (plane.height, plane.width)
        lens = table_camera(projected)
        centres, self._order = _points(kind)
        self.shared = camera.alike
        if self.shared:
            self._shared = SharedSampler(lens, self.rotations[0], centres)
        else:
            self._rotated = RotatedSampler(lens, centres)
        self.masked = _beyond_the_lens(projected, valid_pixels(lens))
        # 8-bit images become floats in [0, 1] exactly when the normaliser grew.
        self._scale = info.normaliser / projected.info.normaliser

    def columns(self, rows: slice) -> dict[str, npt.NDArray[Any]]:
        """``image``, ``valid``, and ``label`` and ``depth`` (where there are) of the rows."""
        kind = self.info.type
        dtypes = {"image": torch.uint8 if kind.dtype == "uint8" else torch.float32}
        dtypes["valid"] = torch.bool
        if kind.label_kind == "mask":
            dtypes["label"] = torch.uint8
        if "depth" in self.projected.columns:
            dtypes["depth"] = torch.float32
        count = rows.stop - rows.start
        made = {
            name: torch.empty(count, *(kind.shape if name == "image" else (kind.pixels,)), dtype=t)
            for name, t in dtypes.items()
        }
        step = max(1, _CHUNK_BYTES // (4 * int(np.prod(self.projected.info.type.shape))))
        for start in range(rows.start, rows.stop, step):
            chunk = slice(start, min(start + step, rows.stop))
            place = slice(start - rows.start, chunk.stop - rows.start)
            values, inside = self._images(chunk)
            made["image"][place] = self._ordered(self._levels(values)).reshape(-1, *kind.shape)
            made["valid"][place] = self._ordered(inside)
            if "label" in made:
                labels = self._containing(self.projected.labels(chunk), chunk)
                made["label"][place] = self._ordered(torch.where(inside, labels, IGNORED))
            if "depth" in made:
                depths = self._containing(self.projected.depths(chunk), chunk)
                made["depth"][place] = self._ordered(torch.where(inside, depths, 0))
        columns = {name: values.numpy() for name, values in made.items()}
        if kind.label_kind == "class":
            columns["label"] = self.projected.labels(rows).numpy()
        return columns

    def _images(self, rows: slice) -> tuple[Tensor, Tensor]:
        """Values and validity of the rows, in the order of the points."""
        images = self.projected.images(rows)
        mask = self.projected.valid(rows).reshape(-1, *self._size) if self.masked else None
        if not self.shared:
            values, valid = self._rotated(images, self.rotations[rows], mask)
            return values, valid
        if mask is not None:
            values, valid = self._shared.masked(images.float(), mask)
            return values, valid
        maps: Tensor = self._shared(images.float())
        return maps, self._shared.valid.expand(len(maps), -1)

    def _containing(self, planes: Tensor, rows: slice) -> Tensor:
        """Each point's value in the pixel that contains it."""
        planes = planes.reshape(-1, *self._size)
        if self.shared:
            return self._shared.labels(planes)
        return self._rotated.labels(planes, self.rotations[rows])

    def _levels(self, values: Tensor) -> Tensor:
        """To the table's number type. Weights sum to one only up to rounding, hence the clamp."""
        if self.info.type.dtype == "uint8":
            return values.round_().clamp_(0, 255).to(torch.uint8)
        if self._scale == 1.0:
            return values
        return values.div_(self._scale).clamp_(0, 1)

    def _ordered(self, values: Tensor) -> Tensor:
        return values if self._order is None else values.index_select(1, self._order)


def _points(kind: TableType) -> tuple[Tensor, Tensor | None]:
    """Directions ``(npix, 3)`` of a type's points, and the order that its maps have them in.

    HEALPix in nested order whatever the maps' own, since nested runs of pixels are compact.
    """
    if kind.grid == "healpix" and kind.nside is not None and kind.faces is not None:
        order = ring_order(kind.nside, kind.faces) if kind.ordering == "ring" else None
        return pixel_centres(kind.nside, kind.faces), order
    if kind.grid == "driscoll-healy" and kind.height is not None and kind.height == kind.width:
        return driscoll_healy_directions(kind.height // 2).reshape(-1, 3), None
    raise ValueError(f"info has type {kind}; expected a complete healpix or driscoll-healy type")


def _beyond_the_lens(projected: Table, seen: Tensor) -> bool:
    """Whether any sample says of a pixel that the lens sees that it is not valid."""
    if "valid" not in projected.columns:
        return False
    return any(
        bool((~projected.valid(rows) & seen.flatten()).any()) for rows in projected.batches(_ROWS)
    )
