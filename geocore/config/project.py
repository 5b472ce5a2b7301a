"""Where the image plane touches the sphere."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from geocore.config.foreign_json import shown
from geocore.config.section import Section, Seed, rule

__all__ = ["ProjectParams"]


Turned = Literal["none", "z", "so3"]
Views = Annotated[
    tuple[Turned, ...],
    *rule(
        lambda views: len(views) > 0 and len(set(views)) == len(views),
        "a list of one or more of none, z, so3, each once",
    ),
]


class ProjectParams(Section):
    """``project``: the camera that puts a planar image onto the sphere, and its random rotation.

    ``projection: source`` takes the camera that the images were taken with, as their source says.
    """

    title: ClassVar[str] = "project"

    projection: Literal["gnomonic", "stereographic", "source"]
    angle_of_view: Annotated[float, Field(gt=0, lt=360)] | None = Field(
        description="degrees, across the image's width; null with projection source"
    )
    colatitude: float = Field(ge=0, le=180, description="degrees, of the image's centre")
    longitude: float = Field(ge=-360, le=360, description="degrees, of the image's centre")
    pose: Literal["known", "ignored"] = Field(
        description="whether the camera's own pose is in a sample's rotation, where a source has it"
    )
    rotation: Turned = Field(description="drawn for each sample, as its number and the seed say")
    copies: int = Field(
        ge=1, le=1000, description="of each training sample, every one with a rotation of its own"
    )
    views: Views | None = Field(
        description="the rotations that each test sample is seen under; null: `rotation` alone"
    )
    seed: Seed

    @model_validator(mode="after")
    def _copies_differ(self) -> ProjectParams:
        if self.copies > 1 and self.rotation == "none":
            raise ValueError(
                f"project.copies is {self.copies}; expected 1 with rotation none, where all copies "
                "of a sample would be the same"
            )
        return self

    @model_validator(mode="after")
    def _angle_of_the_projection(self) -> ProjectParams:
        if (self.projection == "source") != (self.angle_of_view is None):
            expected = "null" if self.projection == "source" else "degrees"
            raise ValueError(
                f"project.angle_of_view is {shown(self.angle_of_view)}; expected {expected} with "
                f"projection {self.projection}"
            )
        if self.angle_of_view is None:
            return self
        if self.projection == "gnomonic" and self.angle_of_view >= 180:
            raise ValueError(
                f"project.angle_of_view is {shown(self.angle_of_view)}; "
                "expected less than 180 degrees for a gnomonic projection"
            )
        return self
