"""The network."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from geocore.config.section import Section

__all__ = ["ModelParams"]

Widths = Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], Field(min_length=1)]


class ModelParams(Section):
    """``model``: the hierarchical HEALPix network of ``geocore.models.healpix_encoder``."""

    title: ClassVar[str] = "model"

    name: Literal["healpix_encoder"]
    block: Literal["attention", "mlp"] = Field(description="window attention or residual MLP")
    embed: int = Field(ge=1, le=4096, description="channels after the patch embedding")
    depths: Widths = Field(description="blocks of each stage; stages are joined by merging")
    heads: Widths = Field(description="attention heads of each stage")
    window: Annotated[int, Field(ge=4)] = Field(
        description="tokens of a window, a power of four; clamped to a face"
    )
    mlp_ratio: float = Field(gt=0, le=16)
    dropout: float = Field(ge=0, lt=1)
    position: Literal["none", "orbit", "absolute"] = Field(
        description="orbit: shared by the four quarter turns about z, so exactly equivariant"
    )
