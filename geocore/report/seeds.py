"""Runs that differ in seeds alone, and what a number is over them: mean and spread."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from geocore.report.snapshot import Snapshot
from geocore.report.words import shown

__all__ = ["SeedGroup", "is_seed", "mean_and_spread", "seed_groups"]


@dataclass(frozen=True)
class SeedGroup:
    """Places among the snapshots of runs with one set of parameters, each with other seeds."""

    runs: tuple[int, ...]
    seeds: tuple[str, ...]


def is_seed(leaf: str) -> bool:
    """Whether a parameter is a seed, from its name: ``train.seed``, ``ensemble.first_seed``."""
    return leaf.split(".")[-1].split("_")[-1] in ("seed", "seeds")


def seed_groups(snapshots: Sequence[Snapshot]) -> list[SeedGroup]:
    """The groups of two or more with equal code, source data and parameters but for seeds.

    Of runs with equal seeds the first counts: the same number twice is no spread. A snapshot
    whose results are older than what it names (``stale``) is in no group, since they may be those
    of another seed. Data that a stage gave is not asked for: it may differ by the seeds.
    """
    found: dict[str, dict[str, int]] = {}
    for place, snapshot in enumerate(snapshots):
        seeds = {leaf: value for leaf, value in snapshot.params.items() if is_seed(leaf)}
        rest = {leaf: value for leaf, value in snapshot.params.items() if leaf not in seeds}
        read = dict(snapshot.sources)
        about = [rest, dict(snapshot.code), read, dict(snapshot.scopes), snapshot.study]
        if seeds and not snapshot.stale:
            mine = found.setdefault(_told(about), {})
            mine.setdefault(_told(seeds), place)
    groups = [tuple(sorted(places.values())) for places in found.values() if len(places) > 1]
    return [SeedGroup(runs, tuple(_seeds(snapshots, runs))) for runs in sorted(groups)]


def mean_and_spread(values: Iterable[float]) -> tuple[float, float]:
    """``mean(x)`` and the standard deviation ``sqrt(sum (x - mean)^2 / (n - 1))`` of n >= 2."""
    numbers = list(values)
    return statistics.fmean(numbers), statistics.stdev(numbers)


def _told(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _seeds(snapshots: Sequence[Snapshot], runs: Sequence[int]) -> Iterable[str]:
    """Of each run the seeds that are not the same in all of them, ``0`` or ``0, 7``."""
    leaves = sorted({leaf for run in runs for leaf in snapshots[run].params if is_seed(leaf)})
    values = {leaf: [snapshots[run].params.get(leaf) for run in runs] for leaf in leaves}
    told = [leaf for leaf in leaves if len({_told(value) for value in values[leaf]}) > 1]
    for place in range(len(runs)):
        yield ", ".join(dict.fromkeys(shown(values[leaf][place]) for leaf in told))
