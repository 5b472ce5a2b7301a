"""Images resampled on the sphere where each sample has a rotation of its own."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from geocore.camera.lens import RadialCamera, valid_pixels
from geocore.camera.models import RationalCamera
from geocore.camera.sampling import check_centres, check_images, check_mask, containing_pixel
from geocore.healpix.grid import pixel_centres
from geocore.healpix.locate import pixel_radius, vec2pix
from geocore.so3.rotation import quaternion_to_matrix

__all__ = ["RotatedSampler"]

_AXIS_NSIDE = 16  # cells that the optical axes are sorted into
_POINTS = 2**16  # image points computed at a time: they stay in the cache
_FLOAT32_SIZE = 64  # up to this many pixels a side, float32 interpolation is good to 1e-5


class RotatedSampler(nn.Module):
    """``y[n, p] = image_n(u(d_np), v(d_np))`` with ``d_np = R_n^-1 centres[p]``.

    Valid and bilinear as ``SharedSampler`` has it, 0 where not valid. Directions and validity are
    computed in float64; the interpolation runs in float32 for images of at most 64 pixels a side
    and is then within 1e-5 of the images' range from the exact value, and in float64 for larger
    ones.

    Most centres of a sphere lie nowhere near a given image. The centres are therefore taken in
    blocks of consecutive ones, and a table made once lists, for each cell of a coarse HEALPix
    grid, the blocks that an image with its optical axis in that cell can reach. Nested pixels
    make compact blocks; any other order is as correct but slower. A lens that is a rational map
    (``RationalCamera``) is one matrix, applied together with the rotation; set ``rational`` to
    False to take the way of all other lenses.
    """

    blocks: Tensor
    reached: Tensor
    counts: Tensor

    def __init__(self, camera: RadialCamera, centres: Tensor) -> None:
        super().__init__()
        check_centres(centres)
        self.camera = camera
        self.rational = isinstance(camera, RationalCamera) and camera.limit is None
        block = _block_size(len(centres))
        blocks = centres.reshape(-1, block, 3)
        self.register_buffer("blocks", blocks.permute(2, 0, 1).contiguous())
        self.register_buffer("reached", _reached_blocks(blocks, camera.reach))
        self.register_buffer("counts", valid_pixels(camera))
        self._whole = bool(self.counts.all())

    def forward(
        self, images: Tensor, rotations: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """``images (n, height, width, channels)`` and unit quaternions ``rotations (n, 4)``.

        ``mask (n, height, width)``: the pixels of each image that count, by default all inside
        the lens's field. Returns values ``(n, npix, channels)`` in float32 and validity
        ``(n, npix)``.
        """
        check_images(self.camera, images)
        (n, height, width, channels), (_, count, block) = images.shape, self.blocks.shape
        if mask is not None:
            check_mask(images, mask)
        values = torch.zeros(n * count, block * channels, device=images.device)
        valid = torch.zeros(n * count, block, dtype=torch.bool, device=images.device)
        dtype = torch.float32 if max(height, width) <= _FLOAT32_SIZE else torch.float64
        for part, near, a, b, c in self._parts(rotations, n):
            inside = (torch.maximum(a.abs(), b.abs()) <= c) & (c > 0)
            grid = torch.empty(2, *a.shape, dtype=dtype, device=a.device)
            torch.div(a, c, out=grid[0])
            torch.div(b, c, out=grid[1])
            known = self._known(part, mask)
            planes = images[part].permute(0, 3, 1, 2).to(dtype)
            if known is not None:
                planes = torch.cat([torch.where(known, planes, 0.0), known.to(dtype)], dim=1)
                inside &= known.flatten(1).gather(1, self._containing(a, b, c, inside))
            sampled = F.grid_sample(
                planes,
                grid.permute(1, 2, 0)[:, None],
                mode="bilinear",
                padding_mode="border",
                align_corners=False,
            )[:, :, 0]
            if known is not None:
                total = torch.where(inside[:, None], sampled[:, -1:], 1.0)
                sampled = sampled[:, :-1] / total
            sampled = torch.where(inside[:, None], sampled, 0.0).transpose(1, 2).float()
            values.index_copy_(0, near, sampled.reshape(-1, block * channels))
            valid.index_copy_(0, near, inside.reshape(-1, block))
        return values.reshape(n, count * block, channels), valid.reshape(n, count * block)

    def labels(self, masks: Tensor, rotations: Tensor) -> Tensor:
        """Labels (or depths) of the containing pixels; 0 where not valid.

        ``(n, height, width)`` -> ``(n, npix)``, in the same dtype.
        """
        check_images(self.camera, masks[..., None])
        n, (_, count, block) = len(masks), self.blocks.shape
        labels = masks.new_zeros(n * count, block)
        for part, near, a, b, c in self._parts(rotations, n):
            inside = (torch.maximum(a.abs(), b.abs()) <= c) & (c > 0)
            pixel = self._containing(a, b, c, inside)
            if not self._whole:
                inside &= self.counts.flatten()[pixel]
            found = torch.where(inside, masks[part].flatten(1).gather(1, pixel), 0)
            labels.index_copy_(0, near, found.to(masks.dtype).reshape(-1, block))
        return labels.reshape(n, count * block)

    def _known(self, part: slice, mask: Tensor | None) -> Tensor | None:
        """Which pixels count, ``(samples, 1, height, width)``; None for all of them."""
        if mask is not None:
            return (mask[part] & self.counts)[:, None]
        shape = (part.stop - part.start, 1, *self.counts.shape)
        return None if self._whole else self.counts.expand(shape)

    def _containing(self, a: Tensor, b: Tensor, c: Tensor, inside: Tensor) -> Tensor:
        """The containing pixels of the points that are inside; any pixel for the others."""
        u = (a / c + 1) * (self.camera.width / 2) - 0.5
        v = (b / c + 1) * (self.camera.height / 2) - 0.5
        return containing_pixel(
            self.camera, torch.where(inside, u, 0.0), torch.where(inside, v, 0.0)
        )

    def _parts(
        self, rotations: Tensor, n: int
    ) -> Iterator[tuple[slice, Tensor, Tensor, Tensor, Tensor]]:
        """Samples by and by: which, the rows of their near blocks, and these points' coordinates.

        The coordinates ``(a, b, c)``, ``(samples, points)`` each, are those of
        ``RationalCamera.homogeneous``: ``P (R^-1 d, 1)``, or those of the projected point with
        ``c`` 1 in the image and -1 elsewhere. They are summed entry by entry: a matrix product
        would round differently from one batch to the next.
        """
        if rotations.shape != (n, 4):
            raise ValueError(f"rotations has shape {tuple(rotations.shape)}; expected ({n}, 4)")
        frames = quaternion_to_matrix(rotations.double())
        matrices, constants = frames.mT, [0.0, 0.0, 0.0]
        if self.rational and isinstance(self.camera, RationalCamera):
            camera = self.camera.homogeneous().to(frames)
            scale, skew = camera.diagonal()[:, None], camera[:2, 2:3]
            constants = camera[:, 3].tolist()
            matrices = scale * frames.mT
            matrices[:, :2] += skew * frames.mT[:, 2:]
        near = self.reached[vec2pix(_AXIS_NSIDE, frames[:, :, 2])]
        rows = near + self.blocks.shape[1] * torch.arange(n, device=near.device)[:, None]
        step = max(1, _POINTS // (self.reached.shape[1] * self.blocks.shape[2]))
        for start in range(0, n, step):
            part = slice(start, min(start + step, n))
            x, y, z = self.blocks.index_select(1, near[part].reshape(-1)).reshape(
                3, part.stop - start, -1
            )
            a, b, c = (
                (row[:, :1] * x).addcmul_(row[:, 1:2], y).addcmul_(row[:, 2:], z)
                for row in matrices[part].unbind(1)
            )
            if self.rational:
                for entry, constant in zip((a, b, c), constants, strict=True):
                    if constant:
                        entry.add_(constant)
            else:
                a, b, c = self._projected(a, b, c)
            yield part, rows[part].reshape(-1), a, b, c

    def _projected(self, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Directions in the camera frame -> ``(a, b, c)``, by the camera's own ``project``."""
        u, v, in_front = self.camera.project(torch.stack([x, y, z], dim=-1))
        covered = self.camera.covers(u, v, in_front)
        a = ((u + 0.5) * (2 / self.camera.width) - 1).clamp(-1.0, 1.0)
        b = ((v + 0.5) * (2 / self.camera.height) - 1).clamp(-1.0, 1.0)
        return a, b, torch.where(covered, 1.0, -1.0).to(a)


def _block_size(npix: int) -> int:
    """Centres in a block: a power of four that leaves some hundred blocks, if there are so many."""
    block = 1
    while npix % (4 * block) == 0 and (block < 16 or npix // (4 * block) >= 512):
        block *= 4
    return block


def _reached_blocks(blocks: Tensor, reach: float) -> Tensor:
    """The blocks that an image may touch, by the cell of its optical axis: ``(cells, most)``.

    A block lies within reach of an axis in the cell if its centre is no further from the cell's
    than the image's corner, the cell's radius and its own together. All rows have the length of
    the longest, filled up with the next nearest blocks.
    """
    middle = blocks.mean(dim=1)
    middle = middle / middle.norm(dim=1, keepdim=True).clamp(min=1e-9)
    radius = _angle((blocks * middle[:, None]).sum(dim=-1)).amax(dim=1)
    distance = _angle(pixel_centres(_AXIS_NSIDE) @ middle.T) - radius
    most = int((distance <= reach + pixel_radius(_AXIS_NSIDE) + 1e-6).sum(dim=1).max())
    return distance.topk(most, largest=False, sorted=False).indices.sort(dim=1).values


def _angle(cosine: Tensor) -> Tensor:
    return torch.acos(cosine.clamp(-1.0, 1.0))
