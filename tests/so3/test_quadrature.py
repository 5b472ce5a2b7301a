"""Sums over a grid are integrals over the sphere."""

from __future__ import annotations

import math

import pytest
import torch

from geocore.so3.quadrature import colatitudes, driscoll_healy_weights, gauss_legendre, grid_sizes


@pytest.mark.parametrize("rule", [driscoll_healy_weights, gauss_legendre])
@pytest.mark.parametrize("bandlimit", [1, 2, 7, 64])
def test_powers_of_the_cosine_up_to_the_degree(rule, bandlimit: int) -> None:  # type: ignore[no-untyped-def]
    beta, weights = rule(bandlimit)
    for power in range(2 * bandlimit):
        integral = 0.0 if power % 2 else 2 / (power + 1)
        assert float((weights * beta.cos() ** power).sum()) == pytest.approx(integral, abs=1e-14)


@pytest.mark.parametrize("rule", [driscoll_healy_weights, gauss_legendre])
def test_one_degree_more_is_too_much(rule) -> None:  # type: ignore[no-untyped-def]
    beta, weights = rule(3)
    assert abs(float((weights * beta.cos() ** 6).sum()) - 2 / 7) > 1e-3


@pytest.mark.parametrize("grid", ["driscoll-healy", "gauss-legendre"])
def test_grids_are_symmetric_from_north_to_south(grid: str) -> None:
    beta, weights = colatitudes(grid, 5)
    assert bool((beta.diff() > 0).all())
    torch.testing.assert_close(beta.flip(0), math.pi - beta, atol=1e-15, rtol=0)
    torch.testing.assert_close(weights.flip(0), weights, atol=1e-15, rtol=0)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="bandlimit is 0; expected an integer of at least 1"):
        driscoll_healy_weights(0)
    with pytest.raises(ValueError, match="grid is 'healpix'; expected one of driscoll-healy"):
        colatitudes("healpix", 4)
    with pytest.raises(ValueError, match="sampling is 3; expected an integer of at least bandl"):
        grid_sizes(4, 3)
