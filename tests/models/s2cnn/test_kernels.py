"""Kernel grids hold the published points or distinct ones; spectra are plain sums over them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from geocore.models.s2cnn.kernels import (
    KernelGrid,
    S2Spectrum,
    SO3Spectrum,
    s2_kernel_grid,
    so3_kernel_grid,
)
from tests.models.s2cnn.signals import Angles, wigner

DOUBLE = torch.float64


def points(grid: KernelGrid) -> list[Angles]:
    gammas = grid.gammas or (0.0,) * len(grid.alphas)
    return [(a, b, c) for b in grid.betas for a, c in zip(grid.alphas, gammas, strict=True)]


def distinct(grid: KernelGrid) -> int:
    """How many rotations of a grid are no two the same, by the matrices of degree 1."""
    matrices = torch.stack([wigner(1, *point) for point in points(grid)])
    different = (matrices[:, None] - matrices).abs().amax((-2, -1)) > 1e-9
    return int((different | ~torch.ones(len(matrices), len(matrices)).tril(-1).bool()).all(1).sum())


def test_the_published_grid_has_duplicates_and_ours_none() -> None:
    published, ours = so3_kernel_grid(grid="published"), so3_kernel_grid()
    assert published.points == ours.points == 8 * 3 * 8
    assert distinct(published) == 8 * 3 * 7
    assert distinct(ours) == 8 * 3 * 8
    assert distinct(so3_kernel_grid(max_gamma=0.4)) == 8 * 3 * 8


def test_rings_and_turns() -> None:
    grid = s2_kernel_grid(0.6, alphas=4, betas=3)
    torch.testing.assert_close(torch.tensor(grid.betas), torch.tensor([0.2, 0.4, 0.6]))
    torch.testing.assert_close(torch.tensor(grid.alphas), torch.tensor([0, 0.5, 1, 1.5]) * math.pi)
    near = so3_kernel_grid(0.1, gammas=5, max_gamma=0.2)
    turns = torch.tensor(near.alphas) + torch.tensor(near.gammas)
    torch.testing.assert_close(turns[:5], torch.tensor([-0.2, -0.1, 0.0, 0.1, 0.2]))
    alone = so3_kernel_grid(0.1, gammas=1)
    assert max(abs(a + c) for a, c in zip(alone.alphas, alone.gammas, strict=True)) < 1e-15


@pytest.mark.parametrize("name", ["distinct", "published"])
def test_so3_spectrum_is_the_sum_over_points(name: str) -> None:
    # The last ring lies opposite the identity.
    grid = so3_kernel_grid(math.pi, 3, 2, 4, grid=name)  # type: ignore[arg-type]
    values = torch.randn(2, 3, grid.points, dtype=DOUBLE)
    found = SO3Spectrum(grid, 5, DOUBLE)(values)
    first = SO3Spectrum(grid, 5, DOUBLE, rows=1)(values)
    assert found.shape == (5, 5, 9, 2, 3)
    torch.testing.assert_close(first, found[:, :1], atol=1e-13, rtol=0)
    for degree in range(5):
        table = torch.stack([wigner(degree, *point).conj() for point in points(grid)])
        expected = torch.einsum("oip,pkn->knoi", values.to(table.dtype), table)[degree:]
        inside = slice(4 - degree, 5 + degree)
        torch.testing.assert_close(
            found[degree, : degree + 1, inside], expected, atol=1e-12, rtol=0
        )
    assert found[2, 3:].abs().max() == 0 and found[2, :, :2].abs().max() == 0


def test_s2_spectrum_is_the_sum_over_points() -> None:
    grid = s2_kernel_grid(0.9, 5, 2)
    values = torch.randn(2, 3, grid.points, dtype=DOUBLE)
    found = S2Spectrum(grid, 4, DOUBLE)(values)

    def conjugate_harmonics(degree: int) -> Tensor:
        rows = torch.stack([wigner(degree, *point)[degree:, degree] for point in points(grid)])
        found: Tensor = rows * ((2 * degree + 1) / (4 * math.pi)) ** 0.5
        return found

    for degree in range(4):
        expected = values.to(found.dtype) @ conjugate_harmonics(degree)
        torch.testing.assert_close(found[..., degree, : degree + 1], expected, atol=1e-12, rtol=0)


def test_tables_follow_the_module() -> None:
    spectrum = SO3Spectrum(so3_kernel_grid(), 4)
    assert not spectrum.state_dict()
    assert spectrum.to(DOUBLE)(torch.zeros(1, 1, 192, dtype=DOUBLE)).dtype == torch.complex128


def test_bad_input_is_told_in_a_line() -> None:
    with pytest.raises(ValueError, match=r"max_beta is 4\.0; expected"):
        s2_kernel_grid(4.0)
    with pytest.raises(ValueError, match="gammas is 0; expected a positive integer"):
        so3_kernel_grid(gammas=0)
    with pytest.raises(ValueError, match="grid is 'soft'"):
        so3_kernel_grid(grid="soft")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"max_gamma is 7\.0"):
        so3_kernel_grid(max_gamma=7.0)
    with pytest.raises(ValueError, match="gammas has 1 entries for 2 alphas"):
        KernelGrid((0.1,), (0.0, 1.0), (0.0,))
    with pytest.raises(ValueError, match="grid has gammas"):
        S2Spectrum(so3_kernel_grid(), 4)
    with pytest.raises(ValueError, match="grid has no gammas"):
        SO3Spectrum(s2_kernel_grid(), 4)
