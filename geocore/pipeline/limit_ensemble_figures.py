"""Deviations on orbits, predicted and trained, as a document, a table and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from geocore.pipeline.limit_results import told
from geocore.pipeline.orbit_figures import slope
from geocore.report.canvas import Picture
from geocore.report.line_chart import Mark, line_chart

__all__ = ["EnsembleFigures"]

_LEAST = 1e-17  # what a deviation of 0 is drawn as
Key = tuple[str, int]
"""Kind of inputs, and step."""


@dataclass(frozen=True)
class EnsembleFigures:
    """Of each line, ``augmented`` and ``plain``:

    ``deviations`` by inputs and step: predicted and trained, for each number of ``members``;
    ``limits``: of infinitely many; ``apart``: how far trained means and spreads are from the
    predicted ones. ``worst``: by step what infinitely many augmented members deviate by, relative.
    """

    HEADER: ClassVar = ("ensemble", "step", "inputs", "members", "predicted", "trained")

    members: Sequence[int]
    deviations: Mapping[str, Mapping[Key, Sequence[tuple[float, float]]]]
    limits: Mapping[str, Mapping[Key, float]]
    apart: Mapping[str, Mapping[str, float]]
    worst: Mapping[int, float]

    def document(self) -> dict[str, Any]:
        """``metrics.json``; ``trained_over_predicted``: of one member, over inputs and steps."""
        found: dict[str, Any] = {
            "members": self.members[-1],
            "worst": told(max(self.worst.values())),
        }
        for line, by_key in self.deviations.items():
            inputs: dict[str, Any] = {}
            for (kind, step), pairs in by_key.items():
                predicted, trained = zip(*pairs, strict=True)
                inputs.setdefault(kind, {})[str(step)] = {
                    "predicted": {"one": told(predicted[0]), "all": told(predicted[-1]),
                                  "infinitely_many": told(self.limits[line][kind, step])},
                    "trained": {"one": told(trained[0]), "all": told(trained[-1]),
                                "slope": told(slope(self.members, trained), 3)},
                }  # fmt: skip
            ratios = [
                trained[0] / predicted[0]
                for pairs in by_key.values()
                for predicted, trained in (tuple(zip(*pairs, strict=True)),)
            ]
            found[line] = {
                "inputs": inputs,
                "trained_over_predicted": {"least": told(min(ratios)), "most": told(max(ratios))},
                "mean_off_in_errors": told(self.apart[line]["off"], 3),
                "spread_over_predicted": told(self.apart[line]["spread"], 3),
            }
        return found

    def rows(self) -> Iterator[list[Any]]:
        """Below ``HEADER``; infinitely many members are ``inf``, and are not trained."""
        for line, by_key in self.deviations.items():
            for (kind, step), pairs in by_key.items():
                for count, pair in zip(self.members, pairs, strict=True):
                    yield [line, step, kind, count, *pair]
                yield [line, step, kind, "inf", self.limits[line][kind, step], None]

    def pictures(self) -> dict[str, Picture]:
        """Of test inputs: ``members.png`` after the last step; ``steps.png``; ``limit.png``, of
        infinitely many alone, which deviate by nothing at the start, and augmented by rounding.
        """
        last = max(step for _, step in next(iter(self.limits.values())))
        against: dict[str, list[Mark]] = {}
        along: dict[str, list[Mark]] = {}
        many: dict[str, list[Mark]] = {}
        for line, by_key in self.deviations.items():
            for place, way in enumerate(("predicted", "trained")):
                against[f"{line}, {way}"] = [
                    Mark(count, pair[place])
                    for count, pair in zip(self.members, by_key["test", last], strict=True)
                ]
                along[f"{line}, {self.members[-1]} {way}"] = [
                    Mark(step + 1, pairs[-1][place])
                    for (kind, step), pairs in by_key.items()
                    if kind == "test"
                ]
            many[line] = [
                Mark(step + 1, max(value, _LEAST))
                for (kind, step), value in self.limits[line].items()
                if kind == "test"
            ]
        words = "Deviation on orbits of the mean of"
        return {
            "members": line_chart(
                against, f"{words} members after {last} steps", "members", "deviation"
            ),
            "steps": line_chart(
                along, f"{words} {self.members[-1]} members", "steps + 1", "deviation"
            ),
            "limit": line_chart(many, f"{words} infinitely many members", "steps + 1", "deviation"),
        }
