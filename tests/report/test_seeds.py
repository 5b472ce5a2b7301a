"""Runs that differ in seeds alone, and what their numbers are together."""

from __future__ import annotations

import math
from typing import Any

import pytest

from geocore.report.seeds import SeedGroup, is_seed, mean_and_spread, seed_groups
from geocore.report.snapshot import Snapshot


def run(lr: float, code: str = "a", **seeds: Any) -> Snapshot:
    params = {"train.lr": lr, **{name.replace("__", "."): value for name, value in seeds.items()}}
    return Snapshot("r", "run", params=params, code={"geocore/a.py": code})


def test_a_seed_by_its_name() -> None:
    assert [
        name
        for name in ("train.seed", "ensemble.first_seed", "seeds", "data.seeding", "seed.lr")
        if is_seed(name)
    ] == ["train.seed", "ensemble.first_seed", "seeds"]


def test_equal_but_for_seeds() -> None:
    runs = [
        run(0.1, train__seed=0),
        run(0.2, train__seed=0),
        run(0.1, train__seed=1),
        run(0.1, "b", train__seed=2),
        run(0.1, train__seed=7, data__seed=1),
        run(0.2, train__seed=5),
    ]
    assert seed_groups(runs) == [
        SeedGroup((0, 2, 4), ("null, 0", "null, 1", "1, 7")),
        SeedGroup((1, 5), ("0", "5")),
    ]


def test_the_same_seed_twice_is_no_spread() -> None:
    assert seed_groups([run(0.1, train__seed=0), run(0.1, train__seed=0)]) == []
    again = [run(0.1, train__seed=0), run(0.1, train__seed=0), run(0.1, train__seed=1)]
    assert [group.runs for group in seed_groups(again)] == [(0, 2)]
    assert seed_groups([run(0.1), run(0.1)]) == []


def test_mean_and_standard_deviation() -> None:
    assert mean_and_spread([1.0, 2.0, 4.0]) == pytest.approx((7 / 3, math.sqrt(7 / 3)))
