"""Which figures of the studies below are put side by side."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from geocore.config.section import Section, rule

__all__ = ["CollectParams"]

Figures = Annotated[
    tuple[str, ...],
    *rule(
        lambda names: names and len(set(names)) == len(names) and all(names),
        "a list of different keys of metrics.json, as test.accuracy",
    ),
]


class CollectParams(Section):
    """``collect``: figures of each study below, and their gain over one of them."""

    title: ClassVar[str] = "collect"

    figures: Figures = Field(description="keys of results/evaluate/metrics.json")
    baseline: str | None = Field(
        description="the study in each group that the others are held against; null: none"
    )
