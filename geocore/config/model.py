"""The network."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from geocore.config.section import Section, rule

__all__ = ["ModelParams"]

Widths = Annotated[
    tuple[Annotated[int, Field(ge=1, le=4096)], ...],
    *rule(lambda widths: len(widths) > 0, "a list of at least one integer from 1 to 4096"),
]
PowerOfFour = Annotated[
    int,
    *rule(
        lambda n: 4 <= n <= 65536 and n & (n - 1) == 0 and n.bit_length() % 2 == 1,
        "a power of four from 4 to 65536",
    ),
]


class ModelParams(Section):
    """``model``: the hierarchical HEALPix network of ``geocore.models.healpix_encoder``."""

    title: ClassVar[str] = "model"

    name: Literal["healpix_encoder"]
    block: Literal["attention", "mlp"] = Field(description="window attention or residual MLP")
    embed: int = Field(ge=1, le=4096, description="channels after the patch embedding")
    depths: Widths = Field(description="blocks of each stage; stages are joined by merging")
    heads: Widths = Field(description="attention heads, or channel groups of the MLP, a stage")
    window: PowerOfFour = Field(
        description="tokens of a window, a power of four; clamped to a face"
    )
    mlp_ratio: float = Field(gt=0, le=16)
    dropout: float = Field(ge=0, lt=1)
    position: Literal["none", "orbit", "absolute"] = Field(
        description="orbit: shared by the four quarter turns about z, so exactly equivariant"
    )

    @model_validator(mode="after")
    def _heads_divide_channels(self) -> ModelParams:
        if len(self.heads) != len(self.depths):
            raise ValueError(
                f"model.heads is {list(self.heads)}; expected one entry for each of the "
                f"{len(self.depths)} stages of model.depths"
            )
        for stage, heads in enumerate(self.heads):
            channels = self.embed * 2**stage
            if channels % heads:
                raise ValueError(
                    f"model.heads[{stage}] is {heads}; expected a divisor of that stage's "
                    f"{channels} channels (model.embed * 2^{stage})"
                )
        return self
