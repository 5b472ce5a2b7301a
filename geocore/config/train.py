"""What the network learns, and how."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from geocore.config.foreign_json import shown
from geocore.config.section import Section, Seed

__all__ = ["ClassWeights", "TrainParams"]

ClassWeights = Literal["none", "inverse_frequency", "median_frequency", "inverse_log_frequency"]


class TrainParams(Section):
    """``train``: AdamW with linear warm-up and cosine decay, early stopping on validation.

    ``task`` says what the labels are: a class a sample, a class a pixel, or a depth a pixel.
    """

    title: ClassVar[str] = "train"

    task: Literal["classification", "segmentation", "depth"] = Field(
        description="what is learned: a class a sample, a class a pixel, or a depth a pixel"
    )
    loss: Literal["cross_entropy", "l1", "l2", "huber", "gaussian_nll"] = Field(
        description="cross_entropy of classes; the others are of depths"
    )
    class_weights: ClassWeights = Field(
        description="segmentation: how much more a pixel of a rare class counts"
    )
    depth_scale: Literal["linear", "log"] | None = Field(
        description="depth: standardised in metres or in their logarithm"
    )
    seed: Seed
    epochs: int = Field(ge=1, le=100_000)
    batch_size: int = Field(ge=1, le=1_000_000)
    lr: float = Field(gt=0, le=10)
    weight_decay: float = Field(ge=0, le=10)
    warmup_epochs: int = Field(ge=0, le=100_000)
    label_smoothing: float = Field(ge=0, lt=1)
    clip_norm: float = Field(gt=0, description="gradient norm above which gradients are scaled")
    patience: int = Field(ge=1, description="epochs without a better validation score")

    @model_validator(mode="after")
    def _the_task_has_its_keys(self) -> TrainParams:
        of_depth = self.task == "depth"
        if (self.loss == "cross_entropy") == of_depth:
            expected = "l1, l2, huber or gaussian_nll" if of_depth else "cross_entropy"
            raise ValueError(
                f"train.loss is {shown(self.loss)}; expected {expected} with train.task {self.task}"
            )
        if of_depth and self.depth_scale is None:
            raise ValueError(
                "train.depth_scale is null; expected linear or log with train.task depth"
            )
        if not of_depth and self.depth_scale is not None:
            raise ValueError(
                f"train.depth_scale is {shown(self.depth_scale)}; expected null with train.task "
                f"{self.task}"
            )
        if of_depth and self.label_smoothing:
            raise ValueError(
                f"train.label_smoothing is {shown(self.label_smoothing)}; expected 0 with "
                "train.task depth"
            )
        if self.task != "segmentation" and self.class_weights != "none":
            raise ValueError(
                f"train.class_weights is {shown(self.class_weights)}; expected none with "
                f"train.task {self.task}"
            )
        return self
