"""Where the image plane touches the sphere."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from geocore.config.section import Section, Seed

__all__ = ["ProjectParams"]


class ProjectParams(Section):
    """``project``: the camera that puts a planar image onto the sphere, and its random rotation."""

    title: ClassVar[str] = "project"

    projection: Literal["gnomonic", "stereographic"]
    angle_of_view: float = Field(gt=0, lt=360, description="degrees, across the image's width")
    colatitude: float = Field(ge=0, le=180, description="degrees, of the image's centre")
    longitude: float = Field(ge=-360, le=360, description="degrees, of the image's centre")
    rotation: Literal["none", "z", "so3"]
    seed: Seed

    @model_validator(mode="after")
    def _gnomonic_sees_a_hemisphere(self) -> ProjectParams:
        if self.projection == "gnomonic" and self.angle_of_view >= 180:
            raise ValueError(
                f"project.angle_of_view is {self.angle_of_view:g}; "
                "expected less than 180 degrees for a gnomonic projection"
            )
        return self
