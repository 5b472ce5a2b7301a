"""Spearman's correlation: of ranks alone, ties by their mean."""

from __future__ import annotations

import math

import pytest
import torch

from geocore.measure.correlation import mean_ranks, rank_correlation

F64 = torch.float64


def test_ranks() -> None:
    values = torch.tensor([3.0, 1.0, math.inf, 3.0, -math.inf])
    assert mean_ranks(values).tolist() == [3.5, 2.0, 5.0, 3.5, 1.0]
    assert mean_ranks(torch.tensor([True, False, True])).tolist() == [2.5, 1.0, 2.5]


def test_only_the_order_counts() -> None:
    x = torch.randn(50, generator=torch.Generator().manual_seed(0), dtype=F64)
    assert rank_correlation(x, x.exp()) == pytest.approx(1, abs=1e-12)
    assert rank_correlation(x, -(x**3)) == pytest.approx(-1, abs=1e-12)


def test_worked_out_by_hand() -> None:
    # Without ties 1 - 6 sum d^2 / (n (n^2 - 1)), here with d = 0, 1, 1, 1, 1.
    first, second = torch.tensor([1, 2, 3, 4, 5]), torch.tensor([1, 3, 2, 6, 5])
    assert rank_correlation(first, second) == pytest.approx(1 - 6 * 4 / 120, abs=1e-12)
    scipy = pytest.importorskip("scipy.stats")
    tied = torch.tensor([2, 2, 1, 5, 5, 3, 2]), torch.tensor([0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0])
    expected = scipy.spearmanr(*(one.numpy() for one in tied)).statistic
    assert rank_correlation(*tied) == pytest.approx(expected, abs=1e-12)


def test_independent_ones_have_none() -> None:
    generator = torch.Generator().manual_seed(1)
    first, second = torch.rand(2, 4000, generator=generator, dtype=F64)
    assert abs(rank_correlation(first, second)) < 4 / math.sqrt(4000)


def test_bad_input() -> None:
    some = torch.ones(3)
    with pytest.raises(ValueError, match=r"first and second have shapes \(3,\) and \(2,\)"):
        rank_correlation(some, some[:2])
    with pytest.raises(ValueError, match="second has 3 equal values; expected different ones"):
        rank_correlation(torch.arange(3), some)
    with pytest.raises(ValueError, match="values hold NaN"):
        mean_ranks(torch.tensor([0.0, math.nan]))
    with pytest.raises(ValueError, match=r"values have shape \(0,\); expected \(n,\)"):
        mean_ranks(some[:0])
