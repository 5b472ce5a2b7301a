"""The HEALPix grid that images are resampled to."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from geocore.config.section import PowerOfTwo, Section, rule

__all__ = ["ResampleParams"]


class ResampleParams(Section):
    """``resample``: resolution, ordering, faces and number type of the HEALPix maps."""

    title: ClassVar[str] = "resample"

    nside: PowerOfTwo
    ordering: Literal["nested", "ring"]
    faces: Annotated[
        tuple[int, ...],
        *rule(
            lambda faces: faces and sorted({*faces} & {*range(12)}) == list(faces),
            "a rising list of base faces from 0 to 11",
        ),
    ]
    dtype: Literal["float32", "uint8"] = Field(
        description="float32 in [0, 1], or uint8 rounded to the source's 256 levels"
    )
