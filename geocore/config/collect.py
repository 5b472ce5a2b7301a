"""Which figures of the studies below are put side by side."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from geocore.config.section import Section, rule

__all__ = ["CollectParams"]

Figures = Annotated[
    tuple[Annotated[str, *rule(bool, "a key of metrics.json, as test.accuracy")], ...],
    *rule(
        lambda names: names and len(set(names)) == len(names),
        "a list of different keys of metrics.json, as test.accuracy, at least one",
    ),
]
Axes = Annotated[
    tuple[Annotated[str, *rule(bool, "a key of the training's metrics.json, as parameters")], ...],
    *rule(
        lambda names: len(set(names)) == len(names),
        "a list of different keys of the training's metrics.json, as parameters; [] for no charts",
    ),
]


class CollectParams(Section):
    """``collect``: figures of each study below, their gain over one of them, and charts."""

    title: ClassVar[str] = "collect"

    figures: Figures = Field(description="keys of results/evaluate/metrics.json")
    baseline: str | None = Field(
        description="the study in each group that the others are held against; null: none"
    )
    against: Axes = Field(
        description="keys of results/train/metrics.json that each figure is drawn against"
    )
