"""The grid on the sphere that images are resampled to."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

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
            tuple[int, ...],
            *rule(
                lambda faces: faces and sorted({*faces} & {*range(12)}) == list(faces),
                "a rising list of base faces from 0 to 11",
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
                    shown = "null" if value is None else value
                    shown = list(shown) if isinstance(shown, tuple) else shown
                    expected = "a value" if value is None else "null"
                    raise ValueError(
                        f"resample.{key} is {shown}; expected {expected} for grid {self.grid}"
                    )
        return self
