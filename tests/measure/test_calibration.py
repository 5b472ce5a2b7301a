"""Calibration: closed bins, ties, analytic cases, and a brute force count."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Literal

import pytest
import torch
from torch import Tensor

from geocore.measure.calibration import ReliabilityCounts, calibration_error, reliability

Binning = Literal["width", "mass"]
BOTH = pytest.mark.parametrize("binning", ["width", "mass"])


def half(count: int) -> Tensor:
    return torch.arange(count) % 2 == 0


@BOTH
def test_confidence_one_is_not_lost(binning: Binning) -> None:
    assert calibration_error(torch.ones(100), half(100), 10, binning) == 0.5


@BOTH
def test_confidence_zero_is_not_lost(binning: Binning) -> None:
    assert calibration_error(torch.zeros(100), half(100), 10, binning) == 0.5


@BOTH
def test_perfect_calibration_has_no_error(binning: Binning) -> None:
    confidences = torch.tensor([0.25] * 4 + [0.75] * 4, dtype=torch.float64)
    correct = torch.tensor([1, 0, 0, 0, 1, 1, 1, 0]).bool()
    assert calibration_error(confidences, correct, 2, binning) == 0


@BOTH
def test_two_groups_by_hand(binning: Binning) -> None:
    # 6 samples at .9 of which 3 are right, 2 at .6 both right: 6/8 .4 + 2/8 .4.
    confidences = torch.tensor([0.9] * 6 + [0.6] * 2, dtype=torch.float64)
    correct = torch.tensor([1, 1, 1, 0, 0, 0, 1, 1]).bool()
    assert calibration_error(confidences, correct, 4, binning) == pytest.approx(0.4, abs=1e-15)


def test_bins_are_closed_on_the_right() -> None:
    # In ten bins k/10 belongs to the bin below it, but 0 to the first.
    edges = torch.arange(11, dtype=torch.float64) / 10
    table = reliability(edges, torch.ones(11, dtype=torch.bool), 10)
    assert table.count.tolist() == [2, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    assert table.lower.tolist() == edges[:-1].tolist()
    assert table.upper.tolist() == edges[1:].tolist()


def test_width_by_brute_force() -> None:
    generator = torch.Generator().manual_seed(0)
    confidences = torch.rand(500, generator=generator, dtype=torch.float64)
    correct = torch.rand(500, generator=generator) < confidences
    bins: dict[int, list[tuple[float, bool]]] = {}
    for value, right in zip(confidences.tolist(), correct.tolist(), strict=True):
        bins.setdefault(max(1, math.ceil(Fraction(value) * 7)), []).append((value, right))
    expected = math.fsum(
        abs(sum(right for _, right in entries) - math.fsum(value for value, _ in entries))
        for entries in bins.values()
    )
    found = calibration_error(confidences, correct, 7)
    assert found == pytest.approx(expected / 500, abs=1e-14)


def test_mass_bins_are_even_and_sorted() -> None:
    generator = torch.Generator().manual_seed(0)
    confidences = torch.rand(103, generator=generator, dtype=torch.float64) ** 4
    table = reliability(confidences, half(103), 10, "mass")
    assert sorted(set(table.count.tolist())) == [10, 11]
    assert table.count.sum() == 103
    assert (table.upper[:-1] < table.lower[1:]).all()
    assert table.lower[0] == confidences.min()
    assert table.upper[-1] == confidences.max()


def test_mass_does_not_depend_on_the_order_of_ties() -> None:
    # Cut by rank, the sorted half would fall into bins that are all right or all wrong.
    confidences = torch.full((40,), 0.5)
    assert calibration_error(confidences, torch.arange(40) < 20, 4, "mass") == 0
    assert calibration_error(confidences, half(40), 4, "mass") == 0


def test_empty_bins_are_nan_and_weigh_nothing() -> None:
    table = reliability(torch.tensor([0.95, 0.97]), torch.tensor([True, False]), 5)
    assert table.count.tolist() == [0, 0, 0, 0, 2]
    assert table.confidence[:4].isnan().all()
    assert table.accuracy[:4].isnan().all()
    assert table.error == pytest.approx(0.46, abs=1e-7)


@pytest.mark.parametrize(
    ("confidences", "correct", "bins", "message"),
    [
        ([0.5, 1.5], [True, True], 5, "confidences run from 0.5 to 1.5; expected 0 to 1"),
        ([0.5, math.nan], [True, True], 5, "confidences run from nan to nan; expected 0 to 1"),
        ([], [], 5, "expected floats .n,., at least one"),
        ([0.5], [True, False], 5, r"correct is torch.bool of shape \(2,\); expected bool \(1,\)"),
        ([0.5], [True], 0, "bins is 0; expected at least 1"),
    ],
)
def test_wrong_arguments_are_named(
    confidences: list[float], correct: list[bool], bins: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        reliability(torch.tensor(confidences), torch.tensor(correct, dtype=torch.bool), bins)


def test_an_unknown_binning_is_named() -> None:
    with pytest.raises(ValueError, match="binning is 'mean'; expected 'width' or 'mass'"):
        reliability(torch.ones(1), torch.ones(1).bool(), 5, "mean")  # type: ignore[arg-type]


def test_counts_of_batches_give_the_table_of_all() -> None:
    generator = torch.Generator().manual_seed(4)
    confidences = torch.rand(500, generator=generator)
    confidences[:3] = torch.tensor([0.0, 1.0, 0.2])
    correct = torch.rand(500, generator=generator) < confidences
    counts = ReliabilityCounts(10)
    assert math.isnan(counts.table().error)
    for part in (slice(100, 500), slice(0, 0), slice(0, 100)):
        counts.add(confidences[part], correct[part])
    found, whole = counts.table(), reliability(confidences, correct, 10)
    assert torch.equal(found.count, whole.count)
    assert torch.equal(found.lower, whole.lower)
    assert torch.equal(found.upper, whole.upper)
    for name in ("confidence", "accuracy"):
        expected = getattr(whole, name).tolist()
        assert getattr(found, name).tolist() == pytest.approx(expected, abs=1e-14, nan_ok=True)
    assert found.error == pytest.approx(whole.error, abs=1e-14)
