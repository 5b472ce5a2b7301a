"""The two grids of a dense sample, the sphere's and the image plane's, and the way between them.

A network answers on the pixels of its own grid. On the other one it is measured by what it says
there: from the sphere to the plane its outputs are interpolated bilinearly at the direction that a
pixel sees; from the plane to the sphere a HEALPix pixel takes those of the pixel that contains its
centre. Whatever lies outside the image or the lens's field is known on neither grid: no output
there finds its way to the other.

The faces of a sphere's table need not hold all that an image sees. What a HEALPix and a planar
network say of the same pixels is compared on the ``shared`` ones: those of the image that the
sphere's table has as well.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from geocore.camera.backproject import RotatedBackprojector
from geocore.camera.lens import RadialCamera
from geocore.camera.sampling import containing_pixel
from geocore.data.table import Table
from geocore.data.tabletype import TableType
from geocore.errors import UserError
from geocore.healpix.grid import pixel_centres
from geocore.so3.quadrature import driscoll_healy_weights
from geocore.so3.rotation import quaternion_to_matrix
from geocore.train.feed import Feed, table_feed

__all__ = ["Crossing", "DenseSplit", "Grid", "Place", "areas_of", "place_of"]

Place = Literal["plane", "sphere"]
Grid = Literal["plane", "sphere", "shared"]


def areas_of(kind: TableType) -> Tensor:
    """Integers ``(pixels,)`` in proportion to what each pixel covers: sums of them are exact.

    1 on a HEALPix grid and in an image; on a Driscoll-Healy grid the weights of its quadrature, in
    parts of 2^-20 of their mean.
    """
    if kind.grid != "driscoll-healy" or kind.height is None:
        return torch.ones(kind.pixels, dtype=torch.int64)
    _, weights = driscoll_healy_weights(kind.height // 2)
    shares = (weights / weights.mean() * 2**20).round().long()
    return shares.repeat_interleave(kind.height)


def place_of(kind: TableType) -> Place:
    """Which of the two grids a table's samples lie on."""
    return "plane" if kind.grid == "planar" else "sphere"


class DenseSplit:
    """A split of a dense table by position: what is true of its pixels, and how they lie.

    ``rotations (n, 4)`` take the camera's frame to the sphere's; ``views (n,)`` are the names of
    the samples' views, empty where the table tells none apart; ``areas (pixels,)`` what its pixels
    cover. With ``ids`` the samples are those,
    in that order; ``UserError`` where the table lacks one.
    """

    def __init__(
        self,
        table: Table,
        split: str,
        device: torch.device,
        task: Literal["segmentation", "depth"],
        ids: Tensor | None = None,
    ) -> None:
        self.table, self.place = table, place_of(table.info.type)
        self.feed: Feed = table_feed(table, split, device, task)
        self._order = torch.arange(len(self.feed)) if ids is None else self._matched(ids, split)
        self._rows = table.rows_of(split)[self._order.numpy()]
        if "rotation" in table.columns:
            self.rotations = torch.from_numpy(table.column("rotation")[self._rows])
        else:
            self.rotations = torch.tensor([[1.0, 0, 0, 0]]).double().repeat(len(self), 1)
        self.areas = areas_of(table.info.type)
        names = table.info.views
        codes = table.column("view")[self._rows].tolist() if "view" in table.columns else []
        self.views = [names[code] for code in codes] if names else []

    def __len__(self) -> int:
        return len(self._order)

    @property
    def ids(self) -> Tensor:
        """The samples' numbers, ``(n,)``."""
        return self.feed.ids[self._order]

    def images(self, positions: Tensor) -> Tensor:
        """Images as the network takes them, 0 where a pixel is not valid."""
        images, _ = self.feed(self._order[positions])
        return images

    def targets(self, positions: Tensor) -> Tensor:
        """Labels or depths ``(n, pixels)``, marked where a pixel does not count."""
        return self.feed.targets(self._order[positions]).flatten(1)

    def valid(self, positions: Tensor) -> Tensor:
        """Which pixels see something, ``(n, pixels)``."""
        return self.table.valid(self._rows[positions.numpy()])

    def _matched(self, ids: Tensor, split: str) -> Tensor:
        where = {sample: place for place, sample in enumerate(self.feed.ids.tolist())}
        missing = [sample for sample in ids.tolist() if sample not in where]
        if missing:
            raise UserError(
                f"{self.table.folder}: the {split} split has no sample {missing[0]}; expected the "
                f"{len(ids)} samples that the network is measured on"
            )
        return torch.tensor([where[sample] for sample in ids.tolist()])


class Crossing:
    """Takes what a network says on the pixels of ``own`` to those of ``other``.

    Both are types of tables of the same samples, one on the sphere and one of ``camera``'s images.
    """

    def __init__(self, own: TableType, other: TableType, camera: RadialCamera) -> None:
        sphere, plane = (own, other) if own.grid == "healpix" else (other, own)
        assert sphere.nside is not None and sphere.faces is not None  # a HEALPix table says both
        size = (plane.height, plane.width)
        if (camera.height, camera.width) != size:
            raise UserError(
                f"the camera's images are {camera.height} x {camera.width}; expected "
                f"{plane.height} x {plane.width}, as the planar table has them"
            )
        self.to_plane, self._camera = own.grid == "healpix", camera
        self._centres = pixel_centres(sphere.nside, sphere.faces)
        self._back = RotatedBackprojector(camera, sphere.nside, sphere.faces)

    def __call__(self, values: Tensor, rotations: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """``values (n, own pixels, channels)`` of samples that lie by ``rotations (n, 4)`` and
        whose pixels are ``valid (n, own pixels)``.

        Returns values ``(n, other pixels, channels)``, and which of them are known.
        """
        if self.to_plane:
            found, known = self._back(values, rotations, valid)
            return found.flatten(1, 2), known.flatten(1)
        pixels, inside = self._pixels(rotations)
        known = inside & valid.gather(1, pixels)
        found = values.gather(1, pixels[..., None].expand(-1, -1, values.shape[2]))
        return torch.where(known[..., None], found, 0), known

    def shared(self, rotations: Tensor, valid: Tensor) -> Tensor:
        """The pixels of the image that the sphere's table has: they lie in a HEALPix pixel that is
        ``valid (n, sphere's pixels)`` there; ``(n, image's pixels)``.
        """
        _, known = self._back.labels(valid.to(torch.uint8), rotations, valid)
        return known.flatten(1)

    def _pixels(self, rotations: Tensor) -> tuple[Tensor, Tensor]:
        """Of each centre the pixel that contains its image, and whether there is one."""
        pixels, inside = [], []
        for matrix in quaternion_to_matrix(rotations.double()):
            u, v, in_front = self._camera.project(self._centres @ matrix)  # R^-1 d, as rows
            inside.append(self._camera.covers(u, v, in_front))
            u, v = u.nan_to_num(0.0), v.nan_to_num(0.0)
            pixels.append(containing_pixel(self._camera, u, v))
        return torch.stack(pixels), torch.stack(inside)
