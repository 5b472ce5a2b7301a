"""Figures of runs that differ in their seed, told as one: their mean and standard deviation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev

__all__ = ["Figures", "Groups", "Summary", "gains", "summaries", "without_seed"]

_SEED = re.compile(r"_seed\d+(?=/|$)")

Figures = dict[str, float | None]


@dataclass(frozen=True)
class Summary:
    """Mean and sample standard deviation (None for one run) of each figure over ``runs``."""

    mean: Figures
    sd: Figures
    runs: int


Groups = Mapping[str, Mapping[str, Summary]]


def without_seed(name: str) -> str:
    """A study's path without what only names another run of it: ``a_seed1/b`` -> ``a/b``."""
    return _SEED.sub("", name)


def summaries(measured: Mapping[str, Figures]) -> dict[str, dict[str, Summary]]:
    """``{group: {name: summary over the runs that differ in their seed}}``.

    A figure that any of the runs lacks has neither mean nor deviation.
    """
    runs: dict[str, list[Figures]] = {}
    for name in sorted(measured):
        runs.setdefault(without_seed(name), []).append(measured[name])
    found: dict[str, dict[str, Summary]] = {}
    for name, several in runs.items():
        group, _, rest = name.partition("/")
        mean: Figures = {}
        spread: Figures = {}
        for figure in several[0]:
            values = [number for one in several if (number := one[figure]) is not None]
            whole = len(values) == len(several)
            mean[figure] = fmean(values) if whole else None
            spread[figure] = stdev(values) if whole and len(values) > 1 else None
        found.setdefault(group, {})[rest or group] = Summary(mean, spread, len(several))
    return found


def gains(found: Groups, baseline: str | None) -> dict[str, dict[str, Figures]]:
    """``{group: {name: mean less the baseline's mean}}`` where a group has the baseline."""
    gained: dict[str, dict[str, Figures]] = {}
    for group, studies in found.items():
        if baseline is not None and baseline in studies:
            base = studies[baseline].mean
            gained[group] = {
                name: {figure: _less(one.mean[figure], base[figure]) for figure in base}
                for name, one in studies.items()
                if name != baseline
            }
    return gained


def _less(value: float | None, base: float | None) -> float | None:
    return None if value is None or base is None else value - base
