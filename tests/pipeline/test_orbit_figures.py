"""Figures of means over members: analytic values, the law of independent members, a plateau."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from geocore.pipeline.orbit_figures import (
    closed_deviation,
    excess,
    limit,
    measured,
    sizes,
    slope,
)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_sizes() -> None:
    assert sizes(256) == [1, 4, 16, 64, 256] and sizes(6) == [1, 4, 6] and sizes(2) == [1, 2]


def test_deviation_of_known_outputs() -> None:
    """Two members that say +-1 on the two elements: each deviates by 1, their mean by 0."""
    one = torch.tensor([1.0, -1.0]).reshape(2, 1, 1)
    answers = torch.stack([one, -one])
    assert measured(answers, 1, classes=False).deviation == 1
    both = measured(answers, 2, classes=False)
    assert both.deviation == 0 and both.relative == 0
    # +1 and -1 about 2: deviation 1 over length 2.
    assert measured(answers + 2, 1, classes=False).relative == 0.5


def test_a_set_of_members_is_a_mean() -> None:
    answers = normal(7, 4, 5, 3)
    found = measured(answers, 3, classes=True)
    parts = [measured(answers[k : k + 3].mean(0, keepdim=True), 1, classes=True) for k in (0, 3)]
    squares = sum(part.deviation**2 for part in parts) / 2
    assert found.deviation == pytest.approx(math.sqrt(squares), rel=1e-12)
    for name in ("osp", "symmetrised_kl"):
        mean = sum(getattr(part, name) for part in parts) / 2
        assert getattr(found, name) == pytest.approx(mean, rel=1e-12)
    with pytest.raises(ValueError, match="size is 8; expected 1 to the 7 members"):
        measured(answers, 8, classes=True)


def test_logits_and_probabilities_may_disagree() -> None:
    """Means over two members: logits prefer class 0 by a confident one, probabilities do not."""
    members = torch.tensor([[9.0, 0.0, 0.0], [0.0, 1.0, -9.0], [0.0, 1.0, -9.0]])
    answers = torch.stack([members, members.flip(-1)], dim=1)[:, :, None]
    assert measured(answers, 3, classes=True).osp == 1  # 0 against 2
    calm = torch.tensor([[[[8.0, 0.0]], [[0.0, 0.0]]], [[[0.0, 2.0]], [[0.0, 2.0]]],
                         [[[0.0, 2.0]], [[0.0, 2.0]]]])  # fmt: skip
    found = measured(calm, 3, classes=True)
    assert (found.osp, found.osp_probabilities) == (1, 2)


def test_independent_members_have_slope_minus_a_half() -> None:
    answers = normal(256, 4, 200, 2)
    counts = sizes(256)
    found = [measured(answers, size, classes=False).deviation for size in counts]
    assert found[0] == pytest.approx(math.sqrt(2 * 3 / 4), rel=0.01), "4 values, 2 channels"
    assert slope(counts, found) == pytest.approx(-0.5, abs=0.01)
    assert excess(counts, found) == pytest.approx(1, abs=0.05)
    assert limit(counts, found) < 0.03


def test_a_bias_is_a_plateau() -> None:
    """All members share +-.3 on the two halves of the orbit: that is what is left."""
    bias = torch.tensor([0.3, 0.3, -0.3, -0.3]).reshape(4, 1, 1)
    answers = normal(256, 4, 200, 1) + bias
    counts = sizes(256)
    found = [measured(answers, size, classes=False).deviation for size in counts]
    told, above = slope(counts, found), excess(counts, found)
    assert told is not None and above is not None and told > -0.3 and above > 3
    assert limit(counts, found) == pytest.approx(0.3, abs=0.01)
    # A deviation of sqrt(a^2 + b / m) has the limit a, exactly.
    exact = [math.sqrt(0.09 + 0.75 / m) for m in counts]
    assert limit(counts, exact) == pytest.approx(0.3, rel=1e-12)


def test_nothing_deviates() -> None:
    assert slope([1, 4], [0.0, 0.0]) is None and excess([1, 4], [0.0, 0.0]) is None
    assert limit([1, 4], [0.0, 0.0]) == 0


def test_closed_deviation_is_the_largest_and_relative() -> None:
    answers = torch.full((2, 2, 3, 1), 10.0, dtype=torch.float64)
    assert closed_deviation(answers) == 0
    answers[0, 1, 2] += 2e-6  # the mean of two moves by 1e-6, and deviates by half of it
    assert closed_deviation(answers) == pytest.approx(5e-8, rel=1e-6)
