"""Images resampled at directions on the sphere that all samples of a batch share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from geocore.camera.planar import PlanarCamera
from geocore.healpix.stencil import Stencil
from geocore.so3.rotation import quaternion_to_matrix

__all__ = ["SharedSampler", "bilinear_points", "containing_pixel", "sample_reference"]


def bilinear_points(camera: PlanarCamera, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
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


def containing_pixel(camera: PlanarCamera, u: Tensor, v: Tensor) -> Tensor:
    """The pixel that contains each image point, flattened row by row, int64.

    Points on the image's right and lower edge belong to its last pixels.
    """
    column = (u + 0.5).floor().clamp(0, camera.width - 1).long()
    row = (v + 0.5).floor().clamp(0, camera.height - 1).long()
    return row * camera.width + column


def sample_reference(
    images: Tensor, camera: PlanarCamera, rotations: Tensor, centres: Tensor
) -> tuple[Tensor, Tensor]:
    """Each image at each centre, one after the other: what the fast samplers are tested against.

    ``images (n, height, width, channels)``, ``rotations (n, 4)`` camera frame -> sphere, and
    ``centres (npix, 3)`` -> values ``(n, npix, channels)`` in float64, 0 outside the image, and
    validity ``(n, npix)``.
    """
    values = torch.zeros(len(images), len(centres), images.shape[3], dtype=torch.float64)
    valid = torch.zeros(len(images), len(centres), dtype=torch.bool)
    for n, (image, rotation) in enumerate(zip(images, rotations, strict=True)):
        directions = centres @ quaternion_to_matrix(rotation)  # R^-1 d, as rows
        u, v, in_front = camera.project(directions)
        valid[n] = camera.covers(u, v, in_front)
        pixels, weights = bilinear_points(camera, u[valid[n]], v[valid[n]])
        points = image.double().flatten(0, 1)[pixels]
        values[n, valid[n]] = (points * weights[..., None]).sum(dim=1)
    return values, valid


class SharedSampler(nn.Module):
    """``y[n, p] = image_n(u(d_p), v(d_p))``, ``d_p = R^-1 centres[p]``: one geometry for all.

    Bilinear inside the image, 0 outside, where ``valid (npix,)`` is False. Linear in the images,
    so it is built once, in float64, as a sparse operator with four points a row. ``rotation`` is
    the unit quaternion ``(4,)`` that takes the camera frame to the sphere's.
    """

    valid: Tensor
    nearest: Tensor

    def __init__(
        self,
        camera: PlanarCamera,
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
        index = torch.zeros(len(centres), 4, dtype=torch.int64)
        weight = torch.zeros(len(centres), 4, dtype=torch.float64)
        index[valid], weight[valid] = bilinear_points(camera, u[valid], v[valid])
        self.register_buffer("valid", valid)
        self.register_buffer("nearest", containing_pixel(camera, u[valid], v[valid]))
        self.stencil = Stencil(index, weight.to(dtype), camera.height * camera.width)

    def forward(self, images: Tensor) -> Tensor:
        """``(n, height, width, channels)`` -> ``(n, npix, channels)``, in the sampler's dtype."""
        check_images(self.camera, images)
        maps: Tensor = self.stencil(images.flatten(1, 2))
        return maps

    def labels(self, masks: Tensor) -> Tensor:
        """Labels of the containing pixels, ``(n, height, width)`` -> ``(n, npix)``; 0 outside."""
        check_images(self.camera, masks[..., None])
        out = masks.new_zeros(len(masks), len(self.valid))
        out[:, self.valid] = masks.flatten(1)[:, self.nearest]
        return out


def check_images(camera: PlanarCamera, images: Tensor) -> None:
    """``ValueError`` if ``images`` are not ``(n, height, width, channels)`` of that camera."""
    if images.ndim != 4 or images.shape[1:3] != (camera.height, camera.width):
        expected = f"(n, {camera.height}, {camera.width}, channels)"
        raise ValueError(f"images has shape {tuple(images.shape)}; expected {expected}")


def check_centres(centres: Tensor) -> None:
    """``ValueError`` if ``centres`` are not unit vectors ``(npix, 3)`` in float64."""
    if centres.ndim != 2 or centres.shape[1] != 3 or centres.dtype != torch.float64:
        found = f"{centres.dtype} of shape {tuple(centres.shape)}"
        raise ValueError(f"centres is {found}; expected torch.float64 of shape (npix, 3)")
    if len(centres) and float((centres.norm(dim=1) - 1).abs().max()) > 1e-9:
        raise ValueError("centres has a vector of another length than 1; expected unit vectors")
