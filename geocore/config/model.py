"""The network: one class of parameters a family, chosen by ``model.name``."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import ConfigDict, Field, model_validator

from geocore.config.foreign_json import shown
from geocore.config.section import Section, rule

__all__ = [
    "CnnParams",
    "HealpixEncoderParams",
    "ModelParams",
    "S2cnnParams",
    "SwinParams",
]

Positive = Annotated[int, Field(ge=1, le=4096)]
Widths = Annotated[
    tuple[Positive, ...],
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
    """``model``: one of the networks of ``geocore.models``; ``of`` says which keys it has.

    This class reads the name alone: what it takes for a section is refused for its name.
    """

    model_config = ConfigDict(extra="ignore")
    title: ClassVar[str] = "model"

    name: Literal["healpix_encoder", "heal_swin", "swin", "s2cnn", "cnn"]

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> type[Section]:
        """The class of the network that ``raw`` names."""
        for kind in (HealpixEncoderParams, SwinParams, S2cnnParams, CnnParams):
            if raw.get("name") in get_args(kind.model_fields["name"].annotation):
                return kind
        return cls


class _Windowed(ModelParams):
    """What networks of attention in windows share: stages of blocks, joined by merging."""

    model_config = ConfigDict(extra="forbid")

    embed: Positive = Field(description="channels after the patch embedding")
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
    def _heads_divide_channels(self) -> _Windowed:
        if len(self.heads) != len(self.depths):
            raise ValueError(
                f"model.heads is {shown(self.heads)}; expected one entry for each of the "
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


class HealpixEncoderParams(_Windowed):
    """``healpix_encoder``: nested maps, one answer a map."""

    name: Literal["healpix_encoder"]
    block: Literal["attention", "mlp"] = Field(description="window attention or residual MLP")


class SwinParams(_Windowed):
    """``heal_swin`` on nested maps, ``swin`` on planar images: an answer a map, or a pixel."""

    name: Literal["heal_swin", "swin"]
    shift: Literal["none", "grid", "ring", "roll"] = Field(
        description="how every other block's windows are moved; swin knows none and grid"
    )
    norm: Literal["pre", "post"] = Field(description="norms before the branches, or after")
    attention: Literal["dot", "cosine"] = Field(
        description="scaled dot products, or cosines with a learned scale"
    )
    relative_bias: bool = Field(description="a learned bias for each offset in a window")
    dropout_kind: Literal["element", "channel"] = Field(
        description="channel: at all tokens or at none, so equivariant in training as well"
    )
    attention_dropout: float = Field(ge=0, lt=1, description="on the attention weights")
    drop_path: float = Field(
        ge=0, lt=1, description="stochastic depth of the last block; it rises linearly from 0"
    )
    checkpointing: bool = Field(
        description="blocks are computed again in the backward pass instead of being kept"
    )

    @model_validator(mode="after")
    def _a_plane_has_no_rings(self) -> SwinParams:
        if self.name == "swin":
            for key, value, known in (
                ("shift", self.shift, ("none", "grid")),
                ("position", self.position, ("none", "absolute")),
            ):
                if value not in known:
                    raise ValueError(
                        f"model.{key} is {shown(value)}; expected {known[0]} or {known[1]} with "
                        "swin, whose images are planar"
                    )
        return self


class S2cnnParams(ModelParams):
    """``s2cnn``: samples on a Driscoll-Healy grid, an answer a sphere, or a point of the grid."""

    model_config = ConfigDict(extra="forbid")

    name: Literal["s2cnn"]
    features: Widths = Field(description="channels of each layer on SO(3)")
    bandlimits: Annotated[
        tuple[Annotated[int, Field(ge=1, le=1024)], ...],
        *rule(lambda bands: len(bands) > 0, "a list of at least one integer from 1 to 1024"),
    ] = Field(description="bandlimit of each layer on SO(3)")
    orders: Annotated[tuple[Positive, ...], Field(min_length=1)] | None = Field(
        description="of each layer in the last angle, |n| below this; null: all of them"
    )
    activation: Literal["relu", "gelu", "silu", "tensor_product"] = Field(
        description="a function of the values on a grid, or the Clebsch-Gordan product"
    )
    oversampling: float = Field(
        ge=1, le=8, description="of the activation's grid, over the bandlimits around it"
    )
    sampling: Literal["driscoll-healy", "gauss-legendre"] = Field(
        description="the grid that the activation is taken on"
    )
    norm: Literal["none", "sample", "channel"] = Field(description="after each convolution")
    kernel: Literal["distinct", "published"] = Field(
        description="points of a kernel: all different, or the published grid, some of them twice"
    )
    points: Annotated[
        tuple[Positive, ...],
        *rule(
            lambda points: len(points) == 3,
            "a list of three integers from 1 to 4096: alphas, betas, gammas",
        ),
    ] = Field(description="of a kernel near the identity")
    reach: float = Field(
        gt=0, le=1000, description="a kernel reaches reach pi / bandlimit from the identity"
    )
    hidden: tuple[Positive, ...] = Field(
        description="widths of the head's hidden layers, where there is one answer a sphere"
    )
    recompute: bool = Field(
        description="activations are computed again in the backward pass instead of being kept"
    )

    @model_validator(mode="after")
    def _a_bandlimit_a_layer(self) -> S2cnnParams:
        for key in ("bandlimits", "orders"):
            found = getattr(self, key)
            if found is not None and len(found) != len(self.features):
                raise ValueError(
                    f"model.{key} is {shown(found)}; expected one entry for each of the "
                    f"{len(self.features)} layers of model.features"
                )
        return self

    @model_validator(mode="after")
    def _few_orders(self) -> S2cnnParams:
        if self.orders is None:
            return self
        if self.activation == "tensor_product":
            raise ValueError(
                'model.activation is "tensor_product"; expected relu, gelu or silu with '
                "model.orders"
            )
        if self.recompute:
            raise ValueError("model.recompute is true; expected false with model.orders")
        bands = self.bandlimits
        if any(later > earlier for earlier, later in pairwise(bands)):
            raise ValueError(
                f"model.bandlimits is {shown(bands)}; expected none above the one before it with "
                "model.orders"
            )
        for layer, (order, most) in enumerate(
            zip(self.orders, (*bands[1:], bands[-1]), strict=True)
        ):
            if order > most:
                raise ValueError(
                    f"model.orders[{layer}] is {order}; expected at most {most}, the bandlimit "
                    "that the next layer reads"
                )
        return self


class CnnParams(ModelParams):
    """``cnn``: the same samples as an image, blind to the sphere."""

    model_config = ConfigDict(extra="forbid")

    name: Literal["cnn"]
    features: Widths = Field(description="channels of each convolution of the way down")
    kernels: Widths = Field(description="edge of each kernel")
    strides: Widths = Field(description="stride of each convolution")

    @model_validator(mode="after")
    def _as_many_of_each(self) -> CnnParams:
        for key in ("kernels", "strides"):
            found = getattr(self, key)
            if len(found) != len(self.features):
                raise ValueError(
                    f"model.{key} is {shown(found)}; expected one entry for each of the "
                    f"{len(self.features)} convolutions of model.features"
                )
        return self
