"""How the network is trained."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from geocore.config.section import Section, Seed

__all__ = ["TrainParams"]


class TrainParams(Section):
    """``train``: AdamW with linear warm-up and cosine decay, early stopping on validation NLL."""

    title: ClassVar[str] = "train"

    seed: Seed
    epochs: int = Field(ge=1, le=100_000)
    batch_size: int = Field(ge=1, le=1_000_000)
    lr: float = Field(gt=0, le=10)
    weight_decay: float = Field(ge=0, le=10)
    warmup_epochs: int = Field(ge=0, le=100_000)
    label_smoothing: float = Field(ge=0, lt=1)
    clip_norm: float = Field(gt=0, description="gradient norm above which gradients are scaled")
    patience: int = Field(ge=1, description="epochs without a better validation NLL")
