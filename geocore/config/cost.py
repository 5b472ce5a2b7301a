"""How the cost of networks is measured."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, ClassVar

from pydantic import Field

from geocore.config.section import Section, rule

__all__ = ["CostParams"]

Batch = Annotated[int, Field(ge=1, le=65536)]
Batches = Annotated[
    tuple[Batch, ...],
    *rule(
        lambda sizes: sizes and all(a < b for a, b in pairwise(sizes)),
        "a list of growing integers from 1 to 65536, at least one",
    ),
]


class CostParams(Section):
    """``cost``: batches of inference and of training, and how often each is timed."""

    title: ClassVar[str] = "cost"

    batch_sizes: Batches = Field(description="samples that an inference answers at once")
    repeats: int = Field(ge=1, le=1000, description="timings, of which the median is told")
    train_batch: Batch = Field(description="samples of a training step")
