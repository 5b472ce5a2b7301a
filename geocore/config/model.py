"""The network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

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

# The keys that not every network has: null where they do not apply, and only there.
_ENCODER = ("block",)
_SHIFTED = (
    "shift", "norm", "attention", "relative_bias", "dropout_kind", "attention_dropout",
    "drop_path", "checkpointing",
)  # fmt: skip
_OWN: Mapping[str, tuple[str, ...]] = {
    "healpix_encoder": _ENCODER,
    "heal_swin": _SHIFTED,
    "swin": _SHIFTED,
}


class ModelParams(Section):
    """``model``: one of the networks of ``geocore.models``.

    ``healpix_encoder`` and ``heal_swin`` take nested maps, ``swin`` takes planar images.
    """

    title: ClassVar[str] = "model"

    name: Literal["healpix_encoder", "heal_swin", "swin"]
    block: Literal["attention", "mlp"] | None = Field(
        description="healpix_encoder: window attention or residual MLP"
    )
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
    shift: Literal["none", "grid", "ring", "roll"] | None = Field(
        description="how every other block's windows are moved; swin knows none and grid"
    )
    norm: Literal["pre", "post"] | None = Field(description="norms before the branches, or after")
    attention: Literal["dot", "cosine"] | None = Field(
        description="scaled dot products, or cosines with a learned scale"
    )
    relative_bias: bool | None = Field(description="a learned bias for each offset in a window")
    dropout_kind: Literal["element", "channel"] | None = Field(
        description="channel: at all tokens or at none, so equivariant in training as well"
    )
    attention_dropout: float | None = Field(ge=0, lt=1, description="on the attention weights")
    drop_path: float | None = Field(
        ge=0, lt=1, description="stochastic depth of the last block; it rises linearly from 0"
    )
    checkpointing: bool | None = Field(
        description="blocks are computed again in the backward pass instead of being kept"
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

    @model_validator(mode="after")
    def _keys_belong_to_the_network(self) -> ModelParams:
        own = _OWN[self.name]
        for key in (*_ENCODER, *_SHIFTED):
            value: Any = getattr(self, key)
            if key in own and value is None:
                raise ValueError(f"model.{key} is null; expected a value, as {self.name} reads it")
            if key not in own and value is not None:
                raise ValueError(
                    f"model.{key} is {_as_written(value)}; expected null, as {self.name} has none"
                )
        return self

    @model_validator(mode="after")
    def _a_plane_has_no_rings(self) -> ModelParams:
        if self.name == "swin":
            for key, value, known in (
                ("shift", self.shift, ("none", "grid")),
                ("position", self.position, ("none", "absolute")),
            ):
                if value not in known:
                    raise ValueError(
                        f"model.{key} is {value}; expected {known[0]} or {known[1]} with swin, "
                        "whose images are planar"
                    )
        return self


def _as_written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
