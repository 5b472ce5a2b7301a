"""Rotated samples are the function's values at rotated points."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from geocore.so3.quadrature import colatitudes
from geocore.so3.rotation import quaternion_to_matrix, rotation_about_z
from geocore.so3.s2_rotation import S2Rotation
from geocore.so3.sampling import random_rotations


def points(bandlimit: int) -> Tensor:
    beta, _ = colatitudes("driscoll-healy", bandlimit)
    alpha = torch.arange(2 * bandlimit, dtype=torch.float64) * math.pi / bandlimit
    return torch.stack(
        [
            beta.sin()[:, None] * alpha.cos(),
            beta.sin()[:, None] * alpha.sin(),
            beta.cos()[:, None].expand(-1, 2 * bandlimit),
        ],
        dim=-1,
    )


def polynomials(v: Tensor) -> Tensor:
    """Two of degree 5, ``(..., 3) -> (..., 2)``."""
    x, y, z = v.unbind(dim=-1)
    return torch.stack([(0.3 * x + 0.5 * y + 0.7 * z) ** 5, x * y * z - y**4 * x], dim=-1)


@pytest.mark.parametrize("bandlimit", [6, 9])
def test_values_at_rotated_points(bandlimit: int) -> None:
    v = points(bandlimit)
    x = polynomials(v)[None]
    for rotation in quaternion_to_matrix(random_rotations("so3", 1, np.arange(3))):
        found = S2Rotation(bandlimit, rotation, torch.float64)(x)
        torch.testing.assert_close(found[0], polynomials(v @ rotation), rtol=0, atol=1e-13)


def test_a_quarter_turn_about_z_rolls_the_columns() -> None:
    x = polynomials(points(6))[None]
    turn = S2Rotation(
        6, rotation_about_z(torch.tensor(math.pi / 2, dtype=torch.float64)), torch.float64
    )
    torch.testing.assert_close(turn(x), x.roll(3, dims=2), rtol=0, atol=1e-13)


def test_what_it_refuses() -> None:
    with pytest.raises(ValueError, match="rotation"):
        S2Rotation(4, 2 * torch.eye(3))
    with pytest.raises(ValueError, match=r"rotation has shape \(2, 3, 3\); expected \(3, 3\)"):
        S2Rotation(4, torch.eye(3).expand(2, 3, 3))
    with pytest.raises(ValueError, match="samples has shape"):
        S2Rotation(4, torch.eye(3))(torch.zeros(1, 6, 6, 1))
