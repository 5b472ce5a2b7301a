"""The risk-coverage curve against cases that can be counted by hand."""

from __future__ import annotations

import pytest
import torch

from geocore.measure.selective import KeptCounts, accuracy_of_kept

RIGHT = torch.tensor([True, False, True, True])
SHARES = torch.tensor([0.25, 0.5, 0.75, 1.0])


def test_perfect_uncertainty_loses_the_wrong_last() -> None:
    found = accuracy_of_kept(torch.tensor([0.1, 0.9, 0.2, 0.3]), RIGHT, SHARES)
    assert found.tolist() == [1.0, 1.0, 1.0, 0.75]


def test_the_worst_uncertainty_keeps_the_wrong_first() -> None:
    found = accuracy_of_kept(torch.tensor([0.3, 0.0, 0.2, 0.1]), RIGHT, SHARES)
    assert found.tolist() == pytest.approx([0.0, 1 / 2, 2 / 3, 3 / 4])


def test_equals_share_whatever_their_order() -> None:
    flat = accuracy_of_kept(torch.ones(4), RIGHT, SHARES)
    assert flat.tolist() == pytest.approx([0.75] * 4)
    order = torch.tensor([3, 1, 0, 2])
    uncertainty = torch.tensor([0.5, 0.5, 0.1, 0.5])
    one = accuracy_of_kept(uncertainty, RIGHT, SHARES)
    other = accuracy_of_kept(uncertainty[order], RIGHT[order], SHARES)
    assert torch.equal(one, other)
    assert one.tolist() == pytest.approx([1.0, (1 + 2 / 3) / 2, (1 + 4 / 3) / 3, 3 / 4])


def test_a_share_inside_a_sample_keeps_that_part_of_it() -> None:
    found = accuracy_of_kept(torch.arange(4.0), RIGHT, torch.tensor([0.375]))
    assert float(found) == pytest.approx(1 / 1.5)


def test_what_it_refuses() -> None:
    with pytest.raises(ValueError, match="expected one of each a sample"):
        accuracy_of_kept(torch.ones(3), RIGHT, SHARES)
    with pytest.raises(TypeError, match=r"expected torch\.bool"):
        accuracy_of_kept(torch.ones(4), RIGHT.double(), SHARES)
    with pytest.raises(ValueError, match="each above 0 and at most 1"):
        accuracy_of_kept(torch.ones(4), RIGHT, torch.tensor([0.0]))
    with pytest.raises(ValueError, match="NaN"):
        accuracy_of_kept(torch.full((4,), torch.nan), RIGHT, SHARES)


def test_counts_are_the_curve_of_the_rounded_uncertainties() -> None:
    generator = torch.Generator().manual_seed(0)
    uncertainty = torch.rand(1000, generator=generator)
    right = torch.rand(1000, generator=generator) > uncertainty
    shares = torch.linspace(0.05, 1, 20)
    counts = KeptCounts(1.0, bins=64)
    for part in (slice(700, 1000), slice(0, 1), slice(1, 700)):
        counts.add(uncertainty[part], right[part])
    expected = accuracy_of_kept(counts.rounded(uncertainty).double(), right, shares)
    assert counts.curve(shares).tolist() == pytest.approx(expected.tolist(), abs=1e-15)
    fine = KeptCounts(1.0, bins=10**6)
    fine.add(uncertainty, right)
    exact = accuracy_of_kept(uncertainty, right, shares)
    assert fine.curve(shares).tolist() == pytest.approx(exact.tolist(), abs=1e-12)


def test_counts_average_any_value_and_keep_the_ends() -> None:
    counts = KeptCounts(2.0, bins=4)
    assert counts.curve(SHARES).isnan().all()
    counts.add(torch.tensor([-1.0, 0.6, 7.0]), torch.tensor([1.0, 4.0, 10.0]))
    found = counts.curve(torch.tensor([1 / 3, 2 / 3, 1.0]))
    assert found.tolist() == pytest.approx([1.0, 2.5, 5.0])
    with pytest.raises(ValueError, match="uncertainty holds NaN"):
        counts.add(torch.tensor([torch.nan]), torch.ones(1))
    with pytest.raises(ValueError, match="largest is 0 and bins 4; expected above 0"):
        KeptCounts(0, 4)
