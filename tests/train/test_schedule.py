"""Linear, then half a cosine."""

from __future__ import annotations

import math

import pytest

from geocore.train.schedule import learning_rate


def test_known_points() -> None:
    rates = [learning_rate(step, peak=2.0, warmup=4, total=12) for step in range(12)]
    assert rates[:5] == [0.5, 1.0, 1.5, 2.0, 2.0]
    assert rates[8] == pytest.approx(1.0, abs=1e-15)  # half-way down
    assert rates[6] == pytest.approx(1 + math.sqrt(0.5), abs=1e-15)  # a quarter
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert 0 < rates[-1] < 0.08


def test_without_warmup_it_starts_at_the_peak() -> None:
    assert learning_rate(0, peak=0.1, warmup=0, total=10) == 0.1


def test_warmup_may_last_to_the_end() -> None:
    assert learning_rate(9, peak=0.1, warmup=10, total=10) == 0.1
