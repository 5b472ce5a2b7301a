"""What is measured on a trained network."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from geocore.config.section import Section, Seed, rule

__all__ = ["EvaluateParams"]


class EvaluateParams(Section):
    """``evaluate``: batch, calibration bins, the rotations of the equivariance error, and of dense
    tasks the classes that are none and the size of point clouds.
    """

    title: ClassVar[str] = "evaluate"

    batch_size: int = Field(ge=1, le=1_000_000)
    calibration_bins: int = Field(ge=2, le=1000)
    rotations: int = Field(ge=1, le=1000, description="sampled rotations about z and in SO(3)")
    samples: int = Field(ge=1, description="test samples that the equivariance error is taken on")
    invalid_classes: Annotated[
        tuple[Annotated[str, *rule(bool, "a class's name")], ...],
        *rule(
            lambda names: len({*names}) == len(names),
            "a list of different classes' names",
        ),
    ] = Field(description="of segmentation: what `miou_without` leaves out of the mean")
    chamfer_points: int = Field(
        ge=1, le=1_000_000, description="of depth: pixels of a sample that are a point cloud"
    )
    seed: Seed
