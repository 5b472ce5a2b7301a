"""Which maps of a trained network are kept to be looked at."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from geocore.config.section import Section, rule

__all__ = ["SpheresParams"]


class SpheresParams(Section):
    """``spheres``: of how many samples, under which turns, how fine.

    A section of its own, so that another look at a network neither trains nor evaluates it again.
    """

    title: ClassVar[str] = "spheres"

    samples: int = Field(ge=1, le=64, description="the first of the test split")
    rotations: int = Field(ge=1, le=64, description="turns by 0, 360 / rotations, ... degrees")
    axis: Literal["x", "y", "z"] = Field(description="of the turns")
    nside: Annotated[
        int,
        *rule(lambda n: 1 <= n <= 64 and n & (n - 1) == 0, "a power of two from 1 to 64"),
    ] = Field(description="finer maps are written at this nside")
