"""Maps on the sphere seen by a camera: predictions taken back to the image plane."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from geocore.camera.lens import RadialCamera, valid_pixels
from geocore.healpix.grid import ALL_FACES, check_faces
from geocore.healpix.partial import PartialMap
from geocore.healpix.stencil import Stencil
from geocore.so3.rotation import quaternion_to_matrix

__all__ = ["RotatedBackprojector", "SharedBackprojector", "backproject_reference"]

_POINTS = 2**16  # image pixels computed at a time
_LEAST = 1e-9  # a smaller share of the weight is rounding


class SharedBackprojector(nn.Module):
    """``y[n, i, j] = map_n(R d_ij)``: the sphere as the camera sees it, one pose for all.

    ``d_ij`` is the direction of pixel ``(i, j)``. A pixel is valid if its centre lies inside the
    lens's field and the HEALPix pixel that contains its direction counts: it belongs to one of
    the ``faces`` of the maps (nested, one face after the other), and to the mask where there is
    one. Valid values are interpolated as HEALPix's own ``get_interpol`` does, the weights of
    pixels that do not count given to the others (all to the containing one where no other is
    left); elsewhere they are 0 and ``valid (height, width)`` is False. So labels and interpolated
    logits are known at the same pixels.

    Linear in the maps, built once in float64. ``rotation`` is the unit quaternion ``(4,)`` that
    takes the camera frame to the sphere's.
    """

    valid: Tensor
    containing: Tensor

    def __init__(
        self,
        camera: RadialCamera,
        rotation: Tensor,
        nside: int,
        faces: Sequence[int] = ALL_FACES,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        if rotation.shape != (4,):
            raise ValueError(f"rotation has shape {tuple(rotation.shape)}; expected (4,)")
        self.camera, self.npix = camera, len(check_faces(faces)) * nside**2
        directions, seen = _directions(camera)
        points = directions @ quaternion_to_matrix(rotation.double()).T
        places = PartialMap(nside, faces)
        containing = places.containing(points)
        index, weight = _interpolated(places, points, containing)
        valid = seen & (containing >= 0)
        weight = torch.where(valid[:, None], weight, 0.0)
        self.register_buffer("valid", valid.reshape(camera.height, camera.width))
        self.register_buffer("containing", torch.where(valid, containing, 0))
        self.stencil = Stencil(index, weight.to(dtype), self.npix)

    def forward(self, maps: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """``maps (n, npix, channels)``, ``mask (n, npix)`` of the map pixels that count.

        Returns values ``(n, height, width, channels)`` in the module's dtype and validity
        ``(n, height, width)``.
        """
        _check_maps(maps, self.npix, mask)
        shape = (len(maps), self.camera.height, self.camera.width, -1)
        valid = self.valid.expand(shape[:3])
        if mask is None:
            return self.stencil(maps).reshape(shape), valid
        there = mask[..., None]
        shares = there.to(maps.dtype)
        sums = self.stencil(torch.cat([torch.where(there, maps, 0), shares], dim=-1))
        own = maps[:, self.containing]
        values = _shared_out(sums[..., :-1], sums[..., -1:], own)
        valid = valid & mask[:, self.containing].reshape(shape[:3])
        return torch.where(valid[..., None], values.reshape(shape), 0), valid

    def labels(self, labels: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Labels of the containing HEALPix pixels, ``(n, npix)`` -> ``(n, height, width)``.

        And their validity ``(n, height, width)``; 0 where not valid.
        """
        _check_maps(labels[..., None], self.npix, mask)
        shape = (len(labels), self.camera.height, self.camera.width)
        valid = self.valid.expand(shape)
        if mask is not None:
            valid = valid & mask[:, self.containing].reshape(shape)
        return torch.where(valid, labels[:, self.containing].reshape(shape), 0), valid


class RotatedBackprojector(nn.Module):
    """``y[n, i, j] = map_n(R_n d_ij)``: as ``SharedBackprojector``, a pose for each map.

    The pixels' directions are rotated and located on the grid as they are needed, some rows of
    the image at a time, in float64. Differentiable in the maps.
    """

    directions: Tensor
    seen: Tensor

    def __init__(self, camera: RadialCamera, nside: int, faces: Sequence[int] = ALL_FACES) -> None:
        super().__init__()
        self.camera, self.npix = camera, len(check_faces(faces)) * nside**2
        directions, seen = _directions(camera)
        self.register_buffer("directions", directions)
        self.register_buffer("seen", seen)
        self.places = PartialMap(nside, faces)

    def forward(
        self, maps: Tensor, rotations: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """``maps (n, npix, channels)``, unit quaternions ``(n, 4)``, ``mask (n, npix)``.

        Returns values ``(n, height, width, channels)`` in the maps' dtype and validity
        ``(n, height, width)``.
        """
        _check_maps(maps, self.npix, mask)
        found, known = [], []
        for n, points, seen in self._points(rotations, len(maps)):
            containing = self.places.containing(points)
            index, weight = _interpolated(self.places, points, containing)
            valid = seen & (containing >= 0)
            own = containing.clamp(min=0)
            if mask is not None:
                valid &= mask[n][own]
                weight = weight * mask[n][index]
            corners = torch.where((weight > 0)[..., None], maps[n][index], 0)
            sums = (corners * weight.to(maps.dtype)[..., None]).sum(dim=1)
            total = weight.sum(dim=1, keepdim=True).to(maps.dtype)
            values = _shared_out(sums, total, maps[n][own])
            found.append(torch.where(valid[:, None], values, 0))
            known.append(valid)
        shape = (len(maps), self.camera.height, self.camera.width)
        if not found:
            return maps.new_zeros(*shape, maps.shape[2]), self.seen.new_zeros(shape)
        return torch.cat(found).reshape(*shape, -1), torch.cat(known).reshape(shape)

    def labels(
        self, labels: Tensor, rotations: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Labels of the containing HEALPix pixels, ``(n, npix)`` -> ``(n, height, width)``.

        And their validity ``(n, height, width)``; 0 where not valid.
        """
        _check_maps(labels[..., None], self.npix, mask)
        shape = (len(labels), self.camera.height, self.camera.width)
        found, known = [labels.new_zeros(0)], [self.seen.new_zeros(0)]
        for n, points, seen in self._points(rotations, len(labels)):
            containing = self.places.containing(points)
            valid, own = seen & (containing >= 0), containing.clamp(min=0)
            if mask is not None:
                valid &= mask[n][own]
            found.append(torch.where(valid, labels[n][own], 0))
            known.append(valid)
        return torch.cat(found).reshape(shape), torch.cat(known).reshape(shape)

    def _points(self, rotations: Tensor, n: int) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Map by map, some pixels at a time: which map, their points, and which have one."""
        if rotations.shape != (n, 4):
            raise ValueError(f"rotations has shape {tuple(rotations.shape)}; expected ({n}, 4)")
        frames = quaternion_to_matrix(rotations.double())
        for sample, frame in enumerate(frames):
            for directions, seen in zip(
                self.directions.split(_POINTS), self.seen.split(_POINTS), strict=True
            ):
                yield sample, directions @ frame.T, seen


def backproject_reference(
    maps: Tensor,
    camera: RadialCamera,
    rotations: Tensor,
    nside: int,
    faces: Sequence[int] = ALL_FACES,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Each map at each pixel, one after the other: what the fast ones are tested against.

    As ``RotatedBackprojector``, values in float64.
    """
    places = PartialMap(nside, faces)
    values = torch.zeros(len(maps), camera.height, camera.width, maps.shape[2]).double()
    valid = torch.zeros(len(maps), camera.height, camera.width, dtype=torch.bool)
    directions, seen = _directions(camera)
    for n, rotation in enumerate(rotations):
        counts = torch.ones(maps.shape[1], dtype=torch.bool) if mask is None else mask[n]
        for pixel in range(camera.height * camera.width):
            row, column = divmod(pixel, camera.width)
            point = (quaternion_to_matrix(rotation.double()) @ directions[pixel])[None]
            own = places.containing(point)
            if not bool(seen[pixel]) or int(own) < 0 or not bool(counts[own]):
                continue
            index, weight = _interpolated(places, point, own)
            weight = weight * counts[index]
            if float(weight.sum()) < _LEAST:
                index, weight = own[:, None], torch.ones(1, 1).double()
            valid[n, row, column] = True
            values[n, row, column] = weight[0] @ maps[n, index[0]].double() / weight.sum()
    return values, valid


def _interpolated(places: PartialMap, points: Tensor, containing: Tensor) -> tuple[Tensor, Tensor]:
    """Four places and their weights, ``(points, 4)`` each.

    The weights sum to one where ``containing`` is a place; places that the map has not carry
    none.
    """
    index, weight = places.interpolated(points)
    total = weight.sum(dim=1, keepdim=True)
    alone = total < _LEAST
    weight = torch.where(alone, 0.0, weight / total.clamp(min=_LEAST))
    weight[:, :1] += alone & (containing >= 0)[:, None]
    return torch.where(alone, containing.clamp(min=0)[:, None], index), weight


def _directions(camera: RadialCamera) -> tuple[Tensor, Tensor]:
    """The pixels' directions ``(height * width, 3)`` and which of them lie in the field."""
    u = torch.arange(camera.width, dtype=torch.float64)
    v = torch.arange(camera.height, dtype=torch.float64)
    rows, columns = torch.meshgrid(v, u, indexing="ij")
    return camera.unproject(columns, rows).flatten(0, 1), valid_pixels(camera).flatten()


def _shared_out(sums: Tensor, total: Tensor, own: Tensor) -> Tensor:
    """``sums / total``; the containing pixel's ``own`` value where no weight is left."""
    alone = total < _LEAST
    return torch.where(alone, own.to(sums), sums / torch.where(alone, 1.0, total))


def _check_maps(maps: Tensor, npix: int, mask: Tensor | None) -> None:
    if maps.ndim != 3 or maps.shape[1] != npix:
        expected = f"(n, {npix}, channels)"
        raise ValueError(f"maps has shape {tuple(maps.shape)}; expected {expected}")
    if mask is not None and mask.shape != maps.shape[:2]:
        raise ValueError(f"mask has shape {tuple(mask.shape)}; expected {(len(maps), npix)}")
    if mask is not None and mask.dtype != torch.bool:
        raise TypeError(f"mask is {mask.dtype}; expected torch.bool")
