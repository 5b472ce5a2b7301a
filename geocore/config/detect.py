"""What the detectors of the survey learn on, and how."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from geocore.config.foreign_json import shown
from geocore.config.section import Section, Seed, rule

__all__ = ["DetectParams"]

_DIGIT = 8  # pixels of a digit's side

Counts = Annotated[
    tuple[Annotated[int, Field(ge=1, le=10**6)], ...],
    *rule(
        lambda counts: len(counts) == 2,
        "a list of two integers from 1 to 1000000: train, test",
    ),
]
Span = Annotated[
    tuple[Annotated[int, Field(ge=1, le=100)], ...],
    *rule(
        lambda span: len(span) == 2 and span[0] <= span[1],
        "a list of two integers from 1 to 100: least, most",
    ),
]


class DetectParams(Section):
    """``detect``: canvases of digits, the width of the equivariant detector, how all learn."""

    title: ClassVar[str] = "detect"

    canvases: Counts = Field(description="square canvases for training and test")
    side: int = Field(ge=_DIGIT, le=256, description="pixels of a canvas's side")
    items: Span = Field(description="least and most digits on a canvas")
    held_out: float = Field(gt=0, lt=0.5, description="share of the digits, for test canvases")
    channels: int = Field(
        ge=1, le=256, description="functions of the group that a layer of the C4 detector has"
    )
    steps: int = Field(ge=1, le=1_000_000, description="optimiser steps of each training")
    batch_size: int = Field(ge=1, le=1024, description="canvases of a step")
    lr: float = Field(gt=0, le=10, description="peak of the learning rate")
    seed: Seed = Field(description="of canvases, weights, order and random turns")

    @model_validator(mode="after")
    def _room(self) -> DetectParams:
        room = (self.side // _DIGIT) ** 2
        if self.items[1] > room:
            raise ValueError(
                f"detect.items is {shown(self.items)} for canvases of {self.side} pixels; "
                f"expected at most {room} digits of {_DIGIT} x {_DIGIT}"
            )
        return self
