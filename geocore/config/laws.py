"""On what the laws of constructions are measured."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from geocore.config.section import Section, Seed, rule

__all__ = ["LawsParams"]

Size = Annotated[
    int, *rule(lambda size: 13 <= size <= 101 and size % 2 == 1, "an odd number from 13 to 101")
]


class LawsParams(Section):
    """``laws``: sizes and bandlimits, how many elements are tried, the seed, the bound."""

    title: ClassVar[str] = "laws"

    image_size: Size = Field(description="pixels of a planar image's side")
    bandlimit: int = Field(ge=2, le=32, description="of signals on the sphere and on SO(3)")
    elements: int = Field(ge=1, le=100, description="rotations or other angles that are tried")
    seed: Seed = Field(description="of weights, signals and rotations")
    error_max: float = Field(
        gt=0, le=1, description="largest error, in float64, of a law that holds to rounding"
    )
