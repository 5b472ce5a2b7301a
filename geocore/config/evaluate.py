"""What is measured on a trained network."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from geocore.config.section import Section, Seed

__all__ = ["EvaluateParams"]


class EvaluateParams(Section):
    """``evaluate``: batch, calibration bins, and the rotations of the equivariance error."""

    title: ClassVar[str] = "evaluate"

    batch_size: int = Field(ge=1, le=1_000_000)
    calibration_bins: int = Field(ge=2, le=1000)
    rotations: int = Field(ge=1, le=1000, description="sampled rotations about z and in SO(3)")
    samples: int = Field(ge=1, description="test samples that the equivariance error is taken on")
    seed: Seed
