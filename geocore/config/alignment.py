"""How the tangent kernel is followed while the network learns."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, ClassVar

from pydantic import Field

from geocore.config.section import Section, Seed, rule

__all__ = ["AlignmentParams"]

Epochs = Annotated[
    tuple[Annotated[int, Field(ge=0, le=100_000)], ...],
    *rule(
        lambda epochs: (
            len(epochs) >= 2
            and epochs[0] == 0
            and all(first < second for first, second in pairwise(epochs))
        ),
        "a list of growing integers from 0 to 100000, at least two, the first of them 0",
    ),
]


class AlignmentParams(Section):
    """``alignment``: of which samples, and for how long.

    A section of its own, so that a question asked of a training never trains it again.
    """

    title: ClassVar[str] = "alignment"

    epochs: Epochs = Field(description="epochs after which it is measured; it ends there")
    samples: int = Field(
        ge=2, le=10_000, description="of training and of validation split, classes in their shares"
    )
    seed: Seed = Field(description="which samples")
