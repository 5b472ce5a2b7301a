"""Axes: values land inside, ticks are round and distinct."""

from __future__ import annotations

import math

import pytest

from geocore.report.axes import Scale


@pytest.mark.parametrize(
    "values",
    [
        [0.0, 1.0],
        [5.0],
        [0.0],
        [-3.0, 2.5],
        [0.981, 0.982],
        [1e-9, 3e-9],
        [1e-300, 1e99],
        [5e-324, 1e-323],
        [1e99, 1e99],
        [0.01, 2.3],
        [1.0, 1e12],
    ],
)
def test_what_is_drawn_lies_inside(values: list[float]) -> None:
    for scale in (Scale.exact(values, 0, 100), Scale.roomy(values, 100, 0)):
        for value in values:
            assert -0.1 <= scale.at(value) <= 100.1
        ticks = scale.ticks()
        assert len(ticks) <= 16
        assert all(-0.1 <= tick.at <= 100.1 for tick in ticks)
        assert len({tick.label for tick in ticks}) == len(ticks)


def test_round_steps() -> None:
    scale = Scale.exact([0, 23], 0, 230)
    assert [tick.label for tick in scale.ticks()] == ["0", "5", "10", "15", "20"]
    assert [tick.at for tick in scale.ticks()] == [0, 50, 100, 150, 200]
    labels = [tick.label for tick in Scale.exact([0.1, 0.98], 0, 1).ticks()]
    assert labels == ["0.2", "0.4", "0.6", "0.8"]


def test_decades_where_positive_values_span_more_than_one() -> None:
    scale = Scale.roomy([0.007, 2.4], 100, 0)
    assert scale.log
    middle = scale.at(math.sqrt(0.007 * 2.4))
    assert middle == pytest.approx(50, abs=0.1)
    assert [tick.label for tick in scale.ticks()] == ["0.01", "0.1", "1"]
    assert not Scale.roomy([-0.1, 100.0], 0, 1).log
    assert not Scale.roomy([1.0, 9.0], 0, 1).log
