"""The thresholds that a run must keep."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from geocore.config.section import Section

__all__ = ["GateParams"]


class GateParams(Section):
    """``gate``: bounds on the metrics of ``evaluate``; null leaves a metric ungated."""

    title: ClassVar[str] = "gate"

    accuracy_min: float | None = Field(ge=0, le=1)
    nll_max: float | None = Field(gt=0)
    ece_max: float | None = Field(ge=0, le=1)
    quarter_turn_error_max: float | None = Field(
        ge=0, description="relative equivariance error of the whole network under 90 degrees"
    )
