"""A function on the sphere under any rotation, by its Fourier coefficients."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from geocore.so3.orders import all_orders
from geocore.so3.rotation import check_rotation, matrix_to_euler_zyz
from geocore.so3.s2_transform import S2Transform
from geocore.so3.wigner import wigner_D

__all__ = ["S2Rotation"]


class S2Rotation(nn.Module):
    """``(R f)(v) = f(R^-1 v)`` for samples of a Driscoll-Healy grid, by ``(R f)_l = D^l(R) f_l``.

    Exact for functions of degrees below ``bandlimit``; of any other it rotates what the transform
    of its samples keeps. ``rotation`` is a matrix ``(3, 3)``. Raises ``ValueError`` for one that is
    no rotation, and for samples that do not fit the grid.
    """

    matrices: Tensor

    def __init__(
        self, bandlimit: int, rotation: Tensor, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        rotation = torch.as_tensor(rotation).detach().cpu().double()
        if rotation.shape != (3, 3):
            raise ValueError(f"rotation has shape {tuple(rotation.shape)}; expected (3, 3)")
        check_rotation("rotation", rotation)
        angles = matrix_to_euler_zyz(rotation)
        self.transform = S2Transform(bandlimit, dtype=dtype)
        matrices = torch.zeros(bandlimit, bandlimit, 2 * bandlimit - 1, dtype=torch.complex128)
        for l in range(bandlimit):  # orders m >= 0 of the result, all orders of what is rotated
            matrices[l, : l + 1, bandlimit - 1 - l : bandlimit + l] = wigner_D(l, *angles)[l:]
        self.register_buffer("matrices", matrices.to(dtype.to_complex()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, 2b, 2b, channels)`` -> ``(batch, 2b, 2b, channels)``."""
        found = all_orders(self.transform(x.movedim(-1, 1)))  # (batch, channel, l, n)
        rotated = torch.einsum("lmn,bcln->bclm", self.matrices, found)
        samples: Tensor = self.transform.inverse(rotated)
        return samples.movedim(1, -1)
