"""The fast transform on SO(3) against its definition."""

from __future__ import annotations

import pytest
import torch

from geocore.so3.so3_reference import so3_analysis, so3_synthesis
from geocore.so3.so3_transform import SO3Transform
from geocore.testing import assert_parity
from tests.so3.signals import so3_coefficients

CASES = [("driscoll-healy", 1, 1), ("driscoll-healy", 4, 6), ("gauss-legendre", 5, 5)]


@pytest.mark.parametrize(("grid", "bandlimit", "sampling"), CASES)
def test_parity_of_both_ways(grid: str, bandlimit: int, sampling: int) -> None:
    fast = SO3Transform(bandlimit, grid, sampling=sampling, real=False)
    given = so3_coefficients(bandlimit, real=False)
    slow = lambda values: so3_synthesis(values, grid, sampling)  # noqa: E731
    assert_parity(fast.inverse, slow, given, atol=1e-11)
    noise = torch.Generator().manual_seed(1)
    samples = torch.randn(2, *fast.grid_shape, dtype=torch.complex128, generator=noise)
    slow = lambda values: so3_analysis(values, bandlimit, grid, sampling)  # noqa: E731
    assert_parity(fast, slow, samples, atol=1e-12)


@pytest.mark.parametrize(("grid", "bandlimit", "sampling"), CASES)
def test_parity_on_real_signals_of_any_band(grid: str, bandlimit: int, sampling: int) -> None:
    fast = SO3Transform(bandlimit, grid, sampling=sampling)
    noise = torch.Generator().manual_seed(2)
    samples = torch.randn(2, *fast.grid_shape, dtype=torch.float64, generator=noise)

    def slow(values: torch.Tensor) -> torch.Tensor:
        found = so3_analysis(values.to(torch.complex128), bandlimit, grid, sampling)
        return found[..., bandlimit - 1 :, :]

    assert_parity(fast, slow, samples, atol=1e-12)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"samples has shape \(4, 4\); expected \(\.\.\., 4, 4, 4"):
        so3_analysis(torch.zeros(4, 4, dtype=torch.complex128), 2)
    with pytest.raises(ValueError, match=r"coefficients has shape \(2, 3, 4\); expected"):
        so3_synthesis(torch.zeros(2, 3, 4, dtype=torch.complex128))
