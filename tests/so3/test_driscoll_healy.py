"""The equiangular grid: its angles, what it integrates exactly, and whose cell a point is in."""

from __future__ import annotations

import math

import pytest
import torch

from geocore.so3.driscoll_healy import driscoll_healy_directions, driscoll_healy_nearest


@pytest.mark.parametrize("b", [1, 2, 7])
def test_angles_are_those_of_the_formula(b: int) -> None:
    points = driscoll_healy_directions(b)
    assert points.shape == (2 * b, 2 * b, 3) and points.dtype == torch.float64
    for j in range(2 * b):
        for k in range(2 * b):
            beta, alpha = math.pi * (2 * j + 1) / (4 * b), 2 * math.pi * k / (2 * b)
            expected = [
                math.sin(beta) * math.cos(alpha), math.sin(beta) * math.sin(alpha), math.cos(beta),
            ]  # fmt: skip
            assert points[j, k].tolist() == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("b", [1, 2, 3, 8])
def test_its_weights_integrate_polynomials_of_degrees_below_2b(b: int) -> None:
    """``w_j = 2/b sin(beta_j) sum_{l < b} sin((2l + 1) beta_j) / (2l + 1)``, over 2b each."""
    points = driscoll_healy_directions(b)
    beta = torch.acos(points[:, 0, 2])
    odd = 2 * torch.arange(b).double() + 1
    weights = 2 / b * beta.sin() * ((odd * beta[:, None]).sin() / odd).sum(dim=1)
    weights = weights[:, None] * (2 * math.pi / (2 * b))
    for degree in range(0, 2 * b, 2):  # of even powers of z: 4 pi / (degree + 1)
        found = float((weights * points[..., 2] ** degree).sum())
        assert found == pytest.approx(4 * math.pi / (degree + 1), abs=1e-12)
        assert abs(float((weights * points[..., 2] ** (degree + 1)).sum())) < 1e-12
    for power in range(1, 2 * b):  # (x + i y)^power turns about z: nothing is left
        turning = torch.complex(points[..., 0], points[..., 1]) ** power
        assert float((weights * turning).sum().abs()) < 1e-12


@pytest.mark.parametrize("b", [1, 4, 5])
def test_a_point_is_nearest_to_itself_and_to_all_within_its_cell(b: int) -> None:
    points = driscoll_healy_directions(b)
    size = 2 * b
    own = torch.arange(size * size).reshape(size, size)
    assert torch.equal(driscoll_healy_nearest(b, points), own)
    shift = torch.rand(50, 2, size, size, generator=torch.Generator().manual_seed(0)).double()
    shift = (shift - 0.5) * (1 - 1e-9)
    beta = torch.acos(points[..., 2]) + shift[:, 0] * math.pi / size
    alpha = torch.atan2(points[..., 1], points[..., 0]) + shift[:, 1] * 2 * math.pi / size
    near = torch.stack([beta.sin() * alpha.cos(), beta.sin() * alpha.sin(), beta.cos()], dim=-1)
    assert torch.equal(driscoll_healy_nearest(b, near), own.expand(50, -1, -1))
    poles = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
    assert (driscoll_healy_nearest(b, poles) // size).tolist() == [0, size - 1]


def test_a_bandlimit_below_one_is_refused() -> None:
    for call in (driscoll_healy_directions, lambda b: driscoll_healy_nearest(b, torch.ones(3))):
        with pytest.raises(ValueError, match="bandlimit is 0; expected an integer of at least 1"):
            call(0)
