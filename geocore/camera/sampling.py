"""Images resampled at directions on the sphere that all samples of a batch share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from geocore.camera.lens import RadialCamera, valid_pixels
from geocore.healpix.stencil import Stencil
from geocore.so3.rotation import quaternion_to_matrix

__all__ = ["SharedSampler", "bilinear_points", "containing_pixel", "sample_reference"]


def bilinear_points(camera: RadialCamera, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """The four pixels around image points, flattened row by row, and their bilinear weights.

    ``(points,)`` -> ``(points, 4)`` each. Pixels are known at their centres: in the half pixel
    between the outermost centres and the edge a point takes the nearest value on the frame of
    centres. The weights are not negative and sum to one.
    """
    u, v = u.clamp(0, camera.width - 1), v.clamp(0, camera.height - 1)
    left = u.floor().clamp(max=max(camera.width - 2, 0))
    top = v.floor().clamp(max=max(camera.height - 2, 0))
    right, bottom = (left + 1).clamp(max=camera.width - 1), (top + 1).clamp(max=camera.height - 1)
    a, b = u - left, v - top
    pixels = [
        y * camera.width + x
        for y, x in ((top, left), (top, right), (bottom, left), (bottom, right))
    ]
    weights = [(1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b]
    return torch.stack(pixels, dim=-1).long(), torch.stack(weights, dim=-1)


def containing_pixel(camera: RadialCamera, u: Tensor, v: Tensor) -> Tensor:
    """The pixel that contains each image point, flattened row by row, int64.

    Points on the image's right and lower edge belong to its last pixels.
    """
    column = (u + 0.5).floor().clamp(0, camera.width - 1).long()
    row = (v + 0.5).floor().clamp(0, camera.height - 1).long()
    return row * camera.width + column


def sample_reference(
    images: Tensor,
    camera: RadialCamera,
    rotations: Tensor,
    centres: Tensor,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Each image at each centre, one after the other: what the fast samplers are tested against.

    ``images (n, height, width, channels)``, ``rotations (n, 4)`` camera frame -> sphere,
    ``centres (npix, 3)`` and ``mask (n, height, width)``, the pixels that count -> values
    ``(n, npix, channels)`` in float64, 0 where not valid, and validity ``(n, npix)``.
    """
    values = torch.zeros(len(images), len(centres), images.shape[3], dtype=torch.float64)
    valid = torch.zeros(len(images), len(centres), dtype=torch.bool)
    for n, (image, rotation) in enumerate(zip(images, rotations, strict=True)):
        counts = valid_pixels(camera) if mask is None else valid_pixels(camera) & mask[n]
        directions = centres @ quaternion_to_matrix(rotation)  # R^-1 d, as rows
        u, v, in_front = camera.project(directions)
        covered = camera.covers(u, v, in_front).nonzero()[:, 0]
        nearest = containing_pixel(camera, u[covered], v[covered])
        covered = covered[counts.flatten()[nearest]]
        pixels, weights = bilinear_points(camera, u[covered], v[covered])
        weights = weights * counts.flatten()[pixels]
        points = torch.where(counts[..., None], image.double(), 0.0).flatten(0, 1)[pixels]
        sums = (points * weights[..., None]).sum(dim=1)
        values[n, covered] = sums / weights.sum(dim=1, keepdim=True)
        valid[n, covered] = True
    return values, valid


class SharedSampler(nn.Module):
    """``y[n, p] = image_n(u(d_p), v(d_p))``, ``d_p = R^-1 centres[p]``: one geometry for all.

    A point is valid if the pixel that contains it counts: inside the image, and its centre inside
    the lens's field. There the values are bilinear over the pixels that count, of which the
    containing one has a quarter of the weight or more; elsewhere they are 0 and ``valid (npix,)``
    is False. Linear in the images, so it is built once, in float64, as a sparse operator with
    four points a row. ``rotation`` is the unit quaternion ``(4,)`` that takes the camera frame to
    the sphere's.
    """

    valid: Tensor
    nearest: Tensor

    def __init__(
        self,
        camera: RadialCamera,
        rotation: Tensor,
        centres: Tensor,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        if rotation.shape != (4,):
            raise ValueError(f"rotation has shape {tuple(rotation.shape)}; expected (4,)")
        check_centres(centres)
        self.camera = camera
        u, v, in_front = camera.project(centres @ quaternion_to_matrix(rotation.double()))
        valid = camera.covers(u, v, in_front)
        counts = valid_pixels(camera).flatten()
        valid[valid.clone()] = counts[containing_pixel(camera, u[valid], v[valid])]
        nearest = containing_pixel(camera, u[valid], v[valid])
        index = torch.zeros(len(centres), 4, dtype=torch.int64)
        weight = torch.zeros(len(centres), 4, dtype=torch.float64)
        index[valid], weight[valid] = bilinear_points(camera, u[valid], v[valid])
        if not bool(counts.all()):
            # What does not count is not even read: its weight goes to nothing times `nearest`.
            weight *= counts[index]
            weight[valid] /= weight[valid].sum(dim=1, keepdim=True)
            index[valid] = torch.where(counts[index[valid]], index[valid], nearest[:, None])
        self.register_buffer("valid", valid)
        self.register_buffer("nearest", nearest)
        self.stencil = Stencil(index, weight.to(dtype), camera.height * camera.width)

    def forward(self, images: Tensor) -> Tensor:
        """``(n, height, width, channels)`` -> ``(n, npix, channels)``, in the sampler's dtype."""
        check_images(self.camera, images)
        maps: Tensor = self.stencil(images.flatten(1, 2))
        return maps

    def masked(self, images: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """As ``forward``, but of each image only the pixels in ``mask (n, height, width)`` count.

        Returns values ``(n, npix, channels)`` and validity ``(n, npix)``.
        """
        check_images(self.camera, images)
        check_mask(images, mask)
        valid = self.valid.expand(len(mask), -1).clone()
        valid[:, self.valid] = mask.flatten(1)[:, self.nearest]
        known = torch.where(mask[..., None], images, 0)
        shares = mask[..., None].to(self.stencil.weight)
        sums = self.stencil(torch.cat([known.to(shares), shares], dim=-1).flatten(1, 2))
        values, total = sums[..., :-1], sums[..., -1:]
        there = valid[..., None]
        return torch.where(there, values / torch.where(there, total, 1.0), 0.0), valid

    def labels(self, masks: Tensor) -> Tensor:
        """Labels (or depths) of the containing pixels; 0 where not valid.

        ``(n, height, width)`` -> ``(n, npix)``, in the same dtype.
        """
        check_images(self.camera, masks[..., None])
        out = masks.new_zeros(len(masks), len(self.valid))
        out[:, self.valid] = masks.flatten(1)[:, self.nearest]
        return out


def check_images(camera: RadialCamera, images: Tensor) -> None:
    """``ValueError`` if ``images`` are not ``(n, height, width, channels)`` of that camera."""
    if images.ndim != 4 or images.shape[1:3] != (camera.height, camera.width):
        expected = f"(n, {camera.height}, {camera.width}, channels)"
        raise ValueError(f"images has shape {tuple(images.shape)}; expected {expected}")


def check_mask(images: Tensor, mask: Tensor) -> None:
    """``ValueError`` or ``TypeError`` if ``mask`` is not a bool for each pixel of ``images``."""
    if mask.shape != images.shape[:3]:
        expected = tuple(images.shape[:3])
        raise ValueError(f"mask has shape {tuple(mask.shape)}; expected {expected}")
    if mask.dtype != torch.bool:
        raise TypeError(f"mask is {mask.dtype}; expected torch.bool")


def check_centres(centres: Tensor) -> None:
    """``ValueError`` if ``centres`` are not unit vectors ``(npix, 3)`` in float64."""
    if centres.ndim != 2 or centres.shape[1] != 3 or centres.dtype != torch.float64:
        found = f"{centres.dtype} of shape {tuple(centres.shape)}"
        raise ValueError(f"centres is {found}; expected torch.float64 of shape (npix, 3)")
    if len(centres) and float((centres.norm(dim=1) - 1).abs().max()) > 1e-9:
        raise ValueError("centres has a vector of another length than 1; expected unit vectors")
