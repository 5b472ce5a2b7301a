"""How many networks make an ensemble."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, model_validator

from geocore.config.section import Section, Seed

__all__ = ["EnsembleParams"]


class EnsembleParams(Section):
    """``ensemble``: networks that are trained as ``train`` trains one, but for their seeds.

    ``chunk`` decides what a killed run makes again, and which members are found when it or
    ``members`` changes: whole chunks. It moves no bit today, members being trained one by one; it
    is tracked, because it may where they are trained as one program.
    """

    title: ClassVar[str] = "ensemble"

    members: int = Field(ge=1, le=10_000)
    chunk: int = Field(ge=1, description="members that are trained and cached together")
    seed: Seed = Field(description="where the members' seeds come from")

    @model_validator(mode="after")
    def _chunk_is_part_of_it(self) -> EnsembleParams:
        if self.chunk > self.members:
            raise ValueError(
                f"ensemble.chunk is {self.chunk}; expected an integer from 1 to the "
                f"{self.members} of ensemble.members"
            )
        return self
