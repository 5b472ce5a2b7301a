"""How many networks make an ensemble."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, model_validator

from geocore.config.foreign_json import shown
from geocore.config.section import Section, Seed

__all__ = ["EnsembleParams"]


class EnsembleParams(Section):
    """``ensemble``: networks that are trained as ``train`` trains one, but for their seeds.

    The members of a chunk are trained as one program. ``chunk`` moves their weights by rounding
    alone, but it may move them, so it is tracked. Whole chunks are found again when it or
    ``members`` changes, and a killed run goes on inside one from its last checkpoint.
    """

    title: ClassVar[str] = "ensemble"

    members: int = Field(ge=1, le=10_000)
    chunk: int = Field(ge=1, description="members that are trained and cached together")
    seed: Seed = Field(description="where the members' seeds come from")

    @model_validator(mode="after")
    def _chunk_is_part_of_it(self) -> EnsembleParams:
        if self.chunk > self.members:
            raise ValueError(
                f"ensemble.chunk is {shown(self.chunk)}; expected an integer from 1 to the "
                f"{self.members} of ensemble.members"
            )
        return self
