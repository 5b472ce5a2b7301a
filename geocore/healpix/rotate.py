"""A HEALPix map under any rotation, by bilinear interpolation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from geocore.healpix.grid import check_faces, pixel_centres
from geocore.healpix.partial import PartialMap
from geocore.healpix.stencil import Stencil

__all__ = ["MapRotation"]


class MapRotation(nn.Module):
    """``(R f)(d) = f(R^-1 d)`` for nested maps: each pixel interpolated at ``R^-1`` its centre.

    The four nearest pixels of the two neighbouring rings are weighted as ``interp_weights`` does:
    weights are not negative and sum to one, so a constant stays constant.
    Pixels of faces that the map has not are left out and the others' weights scaled up; where none
    is left the result is 0 and ``valid (npix,)`` is False. Interpolation smooths: only the turns
    of ``geocore.healpix.symmetry`` are exact. ``rotation`` is a matrix ``(3, 3)``.
    """

    valid: Tensor

    def __init__(
        self,
        nside: int,
        faces: Sequence[int],
        rotation: Tensor,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        rotation = torch.as_tensor(rotation).detach().cpu().double()
        _check_rotation(rotation)
        faces = check_faces(faces)
        directions = pixel_centres(nside, faces) @ rotation
        index, weight = PartialMap(nside, faces).interpolated(directions)
        total = weight.sum(dim=1, keepdim=True)
        valid = total[:, 0] > 1e-9
        weight = torch.where(valid[:, None], weight / total.clamp(min=1e-9), 0.0)
        self.register_buffer("valid", valid)
        self.stencil = Stencil(index, weight.to(dtype), len(faces) * nside**2)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, npix, channels)`` -> ``(batch, npix, channels)``, in the module's dtype."""
        rotated: Tensor = self.stencil(x)
        return rotated


def _check_rotation(rotation: Tensor) -> None:
    if rotation.shape != (3, 3):
        raise ValueError(f"rotation has shape {tuple(rotation.shape)}; expected (3, 3)")
    error = float((rotation @ rotation.T - torch.eye(3, dtype=rotation.dtype)).abs().max())
    if not error < 1e-6 or float(torch.linalg.det(rotation)) < 0:
        raise ValueError(
            f"rotation is off an orthogonal matrix by {error:.1g}, with determinant "
            f"{float(torch.linalg.det(rotation)):.3g}; expected a rotation"
        )
