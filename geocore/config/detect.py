"""How the detectors of the survey are trained."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from geocore.config.section import Section, Seed

__all__ = ["DetectParams"]


class DetectParams(Section):
    """``detect``: the width of the equivariant detector, and how it and the plain one learn."""

    title: ClassVar[str] = "detect"

    channels: int = Field(
        ge=1, le=256, description="functions of the group that a layer of the C4 detector has"
    )
    steps: int = Field(ge=1, le=1_000_000, description="optimiser steps of each training")
    batch_size: int = Field(ge=1, le=1024, description="canvases of a step")
    lr: float = Field(gt=0, le=10, description="peak of the learning rate")
    seed: Seed = Field(description="of weights and order")
