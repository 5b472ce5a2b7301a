"""The thresholds that a run must keep."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from geocore.config.section import Section

__all__ = ["GateParams"]


class GateParams(Section):
    """``gate``: bounds on the metrics of ``evaluate`` and ``synthesize``; null: no bound."""

    title: ClassVar[str] = "gate"

    accuracy_min: float | None = Field(ge=0, le=1)
    nll_max: float | None = Field(gt=0)
    ece_max: float | None = Field(ge=0, le=1)
    quarter_turn_error_max: float | None = Field(
        ge=0, description="relative equivariance error of the whole network under 90 degrees"
    )
    rotation_error_max: float | None = Field(
        ge=0, description="mean relative equivariance error of the whole network in SO(3)"
    )
    ensemble_nll_ratio_max: float | None = Field(
        gt=0, description="test NLL of the mean logits over the chosen member's"
    )
    ensemble_ece_ratio_max: float | None = Field(
        gt=0, description="test calibration error of the mean logits over the mean member's"
    )
    ntk_accuracy_min: float | None = Field(ge=0, le=1, description="of kernel regression")
    miou_min: float | None = Field(ge=0, le=1, description="mean IoU of segmentation")
    depth_rmse_max: float | None = Field(gt=0, description="metres, of depth")
    firmware_mismatches_max: int | None = Field(
        ge=0, description="test samples on which firmware and quantised model differ"
    )
    firmware_loss_max: float | None = Field(
        ge=-1, le=1, description="test accuracy of the float student less the firmware's"
    )
