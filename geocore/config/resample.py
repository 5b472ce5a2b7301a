"""The grid on the sphere that images are resampled to."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from geocore.config.foreign_json import shown
from geocore.config.section import PowerOfTwo, Section, rule

__all__ = ["ResampleParams"]

_KEYS = {"healpix": ("nside", "ordering", "faces"), "driscoll-healy": ("bandlimit",)}


class ResampleParams(Section):
    """``resample``: which grid, its resolution, and the number type of the maps.

    HEALPix has ``nside``, ``ordering`` and ``faces``, the equiangular grid of Driscoll and Healy
    its ``bandlimit``; the keys of the other grid are null.
    """

    title: ClassVar[str] = "resample"

    grid: Literal["healpix", "driscoll-healy"]
    nside: PowerOfTwo | None
    ordering: Literal["nested", "ring"] | None
    faces: (
        Annotated[
            tuple[Annotated[int, Field(ge=0, le=11)], ...],
            *rule(
                lambda faces: faces and sorted({*faces}) == list(faces),
                "a list of growing base faces from 0 to 11, at least one",
            ),
        ]
        | None
    )
    bandlimit: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        description="a grid of 2 bandlimit x 2 bandlimit points"
    )
    dtype: Literal["float32", "uint8"] = Field(
        description="float32 in [0, 1], or uint8 rounded to the source's 256 levels"
    )

    @model_validator(mode="after")
    def _keys_of_the_grid(self) -> ResampleParams:
        for grid, keys in _KEYS.items():
            for key in keys:
                value = getattr(self, key)
                if (value is None) == (grid == self.grid):
                    expected = "a value" if value is None else "null"
                    raise ValueError(
                        f"resample.{key} is {shown(value)}; expected {expected} for grid "
                        f"{self.grid}"
                    )
        return self
