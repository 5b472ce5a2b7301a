"""ROC and risk-coverage areas: brute force over pairs, ties, perfect and useless scores."""

from __future__ import annotations

import math
from itertools import permutations

import pytest
import torch
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc

from geocore.measure.ranking import auroc, risk_coverage


def normal(seed: int, n: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, generator=generator, dtype=torch.float64)


def pairs(inside: Tensor, outside: Tensor) -> float:
    above = (outside[:, None] > inside).double() + (outside[:, None] == inside).double() / 2
    return float(above.mean())


def test_perfect_useless_and_reversed() -> None:
    low, high = torch.arange(5.0), torch.arange(10.0, 13.0)
    assert auroc(low, high) == 1
    assert auroc(high, low) == 0
    assert auroc(torch.ones(4), torch.ones(7)) == 0.5
    assert auroc(torch.zeros(1), torch.full((1,), math.inf)) == 1


def test_ties_count_half() -> None:
    # Of the nine pairs five are above, three equal.
    inside, outside = torch.tensor([1, 2, 2]), torch.tensor([1, 2, 3])
    assert auroc(inside, outside) == (0.5 + 2 + 3) / 9
    assert auroc(inside, outside) == pairs(inside, outside)


@pytest.mark.parametrize("digits", [0, 1, 3])
def test_it_is_the_share_of_pairs_in_order(digits: int) -> None:
    inside = (normal(0, 137) * 10**digits).round()
    outside = ((normal(1, 61) + 0.7) * 10**digits).round()
    found = auroc(inside, outside)
    assert found == pytest.approx(pairs(inside, outside), abs=1e-15)
    assert auroc(outside, inside) == pytest.approx(1 - found, abs=1e-15)
    # Only the order counts.
    assert auroc(inside.div(100).exp(), outside.div(100).exp()) == found


def test_two_normals_have_the_area_of_their_distance() -> None:
    # P(N(d, 1) > N(0, 1)) = Phi(d / sqrt 2); the standard error of 20,000 each is .0014.
    found = auroc(normal(2, 20_000), normal(3, 20_000) + 1)
    assert found == pytest.approx((1 + math.erf(1 / 2)) / 2, abs=0.005)


def test_auroc_is_that_of_torchmetrics() -> None:
    for scale in (1.0, 5.0):  # the second with many ties
        inside, outside = ((normal(4, 200) * scale).round() / scale, normal(5, 150) + 0.5)
        scores = torch.cat([inside, outside]).sigmoid()
        target = torch.cat([torch.zeros(200), torch.ones(150)]).long()
        found = auroc(scores[:200], scores[200:])
        # torchmetrics sums in float32.
        assert found == pytest.approx(float(binary_auroc(scores, target)), abs=1e-6)


def test_risk_by_hand() -> None:
    correct = torch.tensor([True, False, True, False])
    curve = risk_coverage(torch.tensor([0.1, 0.4, 0.2, 0.3]), correct)
    assert curve.coverage.tolist() == [0.25, 0.5, 0.75, 1]
    assert curve.risk.tolist() == pytest.approx([0, 0, 1 / 3, 1 / 2], abs=1e-15)
    assert curve.area == pytest.approx((1 / 3 + 1 / 2) / 4, abs=1e-15)
    assert curve.excess == pytest.approx(0, abs=1e-15)


def test_the_worst_order_has_the_largest_area() -> None:
    correct = torch.tensor([True, False, True, False])
    curve = risk_coverage(torch.tensor([0.4, 0.1, 0.3, 0.2]), correct)
    assert curve.risk.tolist() == pytest.approx([1, 1, 2 / 3, 1 / 2], abs=1e-15)
    assert curve.excess == pytest.approx((1 + 1 + 1 / 3) / 4, abs=1e-15)


def test_useless_uncertainty_has_the_error_rate() -> None:
    correct = normal(6, 500) > -0.5
    wrong = float((~correct).double().mean())
    curve = risk_coverage(torch.zeros(500), correct)
    assert curve.area == pytest.approx(wrong, abs=1e-14)
    assert curve.risk.tolist() == pytest.approx([wrong] * 500, abs=1e-14)


def test_equal_uncertainties_have_the_mean_area_of_all_orders() -> None:
    # Six samples in two groups of equals: every order inside them, by brute force.
    right = torch.tensor([True, False, False, True, True, False])
    found = risk_coverage(torch.tensor([0, 0, 0, 1, 1, 1]), right).area
    areas = []
    for first in permutations(range(3)):
        for second in permutations(range(3, 6)):
            wrong = (~right[list(first + second)]).double().cumsum(0)
            areas.append(float((wrong / torch.arange(1, 7)).mean()))
    assert found == pytest.approx(sum(areas) / len(areas), abs=1e-15)


def test_the_perfect_order_has_no_excess() -> None:
    for seed, shift in ((7, 0.0), (8, 1.0), (9, -1.0)):
        correct = normal(seed, 300) + shift > 0
        assert risk_coverage((~correct).double(), correct).excess == pytest.approx(0, abs=1e-14)
        assert risk_coverage(normal(seed + 10, 300), correct).excess > 0.01
    everything = torch.ones(5, dtype=torch.bool)
    assert risk_coverage(torch.arange(5.0), everything).area == 0
    assert risk_coverage(torch.arange(5.0), ~everything).excess == 0


def test_what_they_refuse() -> None:
    one = torch.ones(1)
    for inside, outside, line in [
        (one, torch.ones(0), "outside is torch.float32 of shape (0,); "
         "expected real numbers (n,), at least one"),
        (torch.ones(2, 2), one, "inside is torch.float32 of shape (2, 2); "
         "expected real numbers (n,), at least one"),
        (one, torch.tensor([math.nan]), "outside holds NaN; expected numbers that can be ordered"),
    ]:  # fmt: skip
        with pytest.raises(ValueError) as error:
            auroc(inside, outside)
        assert str(error.value) == line
    with pytest.raises(ValueError, match=r"^uncertainty is \(3,\) and correct \(2,\); expected"):
        risk_coverage(torch.ones(3), torch.ones(2, dtype=torch.bool))
    with pytest.raises(ValueError, match="expected one of each a sample, and at least one sample"):
        risk_coverage(torch.ones(0), torch.ones(0, dtype=torch.bool))
    with pytest.raises(TypeError, match=r"^correct is torch\.float32; expected torch\.bool$"):
        risk_coverage(torch.ones(2), torch.ones(2))
