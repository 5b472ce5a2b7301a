"""Rows of a table of projected images -> columns of a table of HEALPix maps."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geocore.camera.planar import PlanarCamera
from geocore.camera.rotated import RotatedSampler
from geocore.camera.sampling import SharedSampler
from geocore.data.table import Table
from geocore.data.tabletype import TableInfo
from geocore.healpix.grid import pixel_centres, ring_order

__all__ = ["OntoHealpix"]

_CHUNK_BYTES = 16 * 2**20  # planar images held as floats at a time


class OntoHealpix:
    """Interpolates the images of ``projected`` at the centres of the grid that ``info`` names.

    One sparse operator where all samples lie alike (``camera.rotation`` is none), directions
    computed sample by sample otherwise.
    """

    def __init__(self, projected: Table, info: TableInfo) -> None:
        plane, kind, camera = projected.info.type, info.type, info.camera
        if camera is None or kind.nside is None or kind.faces is None:
            raise ValueError(f"info is {info}; expected a camera and a complete HEALPix type")
        if plane.height is None or plane.width is None:
            raise ValueError(f"projected has type {plane}; expected a complete planar type")
        self.projected, self.info = projected, info
        self.rotations = torch.from_numpy(projected.column("rotation"))
        planar = PlanarCamera(camera.projection, camera.angle_of_view, plane.height, plane.width)
        # In nested order whatever the maps' own: nested runs of pixels are compact.
        centres = pixel_centres(kind.nside, kind.faces)
        self.shared = camera.rotation == "none"
        if self.shared:
            self._shared = SharedSampler(planar, self.rotations[0], centres)
        else:
            self._rotated = RotatedSampler(planar, centres)
        self._order = ring_order(kind.nside, kind.faces) if kind.ordering == "ring" else None
        # 8-bit images become floats in [0, 1] exactly when the normaliser grew.
        self._scale = info.normaliser / projected.info.normaliser

    def columns(self, rows: slice) -> dict[str, npt.NDArray[Any]]:
        """``image``, ``valid`` and ``label`` (where there is one) of the rows."""
        kind, masks = self.info.type, self.info.type.label_kind == "mask"
        count = rows.stop - rows.start
        dtype = torch.uint8 if kind.dtype == "uint8" else torch.float32
        image = torch.empty(count, *kind.shape, dtype=dtype)
        valid = torch.empty(count, kind.pixels, dtype=torch.bool)
        label = torch.empty(count if masks else 0, kind.pixels, dtype=torch.uint8)
        step = max(1, _CHUNK_BYTES // (4 * int(np.prod(self.projected.info.type.shape))))
        for start in range(rows.start, rows.stop, step):
            chunk = slice(start, min(start + step, rows.stop))
            place = slice(start - rows.start, chunk.stop - rows.start)
            values, inside = self._images(chunk)
            image[place] = self._ordered(self._levels(values))
            valid[place] = self._ordered(inside)
            if masks:
                label[place] = self._ordered(self._masks(chunk))
        columns = {"image": image.numpy(), "valid": valid.numpy()}
        if masks:
            columns["label"] = label.numpy()
        elif kind.label_kind == "class":
            columns["label"] = self.projected.labels(rows).numpy()
        return columns

    def _images(self, rows: slice) -> tuple[Tensor, Tensor]:
        images = self.projected.images(rows)
        if self.shared:
            maps: Tensor = self._shared(images.float())
            return maps, self._shared.valid.expand(len(maps), -1)
        values, valid = self._rotated(images, self.rotations[rows])
        return values, valid

    def _masks(self, rows: slice) -> Tensor:
        plane = self.projected.info.type
        masks = self.projected.labels(rows).reshape(-1, plane.height or 0, plane.width or 0)
        if self.shared:
            return self._shared.labels(masks)
        return self._rotated.labels(masks, self.rotations[rows])

    def _levels(self, values: Tensor) -> Tensor:
        """To the table's number type. Weights sum to one only up to rounding, hence the clamp."""
        if self.info.type.dtype == "uint8":
            return values.round_().clamp_(0, 255).to(torch.uint8)
        if self._scale == 1.0:
            return values
        return values.div_(self._scale).clamp_(0, 1)

    def _ordered(self, values: Tensor) -> Tensor:
        return values if self._order is None else values.index_select(1, self._order)
