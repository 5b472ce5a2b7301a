"""The network for a chip, its variants' bits and sparsity, and the ways on which it goes there."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from geocore.config.foreign_json import shown
from geocore.config.section import Section, Seed, rule, worded
from geocore.config.train import ClassWeights

__all__ = ["MAIN", "SynthesizeParams", "Variant", "Way"]

MAIN = "main"  # the variant that the section itself describes
Way = Literal["hls4ml", "verilog"]
Multipliers = Literal["adders", "dsp"]
Channels = Annotated[
    tuple[Annotated[int, Field(ge=1, le=1024)], ...],
    *rule(lambda widths: 1 <= len(widths) <= 16, "a list of 1 to 16 integers from 1 to 1024"),
]
# Two bits are the least of a symmetric signed grid.
Bits = Annotated[int, Field(ge=2, le=16)]
WeightBits = Bits | Literal["binary", "ternary"]
OneLayersBits = Annotated[
    tuple[str, WeightBits, Bits],
    worded("[layer, bits of its weights, bits of what it gives on], as [dense, 6, 8]"),
]
LayerBits = tuple[OneLayersBits, ...]
ReuseFactor = Annotated[int, Field(ge=1, le=65536)]
ReuseFactors = Annotated[
    tuple[Annotated[tuple[str, ReuseFactor], worded("[layer, factor], as [dense, 4]")], ...],
    *rule(
        lambda given: len(dict(given)) == len(given),
        "a list of [layer, factor], each layer once",
    ),
]
Sparsity = Annotated[float, Field(ge=0, lt=1)]
Error = Annotated[float, Field(ge=0, le=10)]
Ways = Annotated[
    tuple[Way, ...],
    *rule(
        lambda ways: len(set(ways)) == len(ways), "a list of hls4ml and verilog, each once at most"
    ),
]
Part = Annotated[
    str,
    *rule(
        lambda part: re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}", part) is not None,
        "a part's name of letters, digits and -, as xczu9eg-ffvb1156-2-e",
    ),
]


class Variant(BaseModel):
    """A name, and what is otherwise than in the section; null: as there.

    ``filter_error``: whole filters leave the float network while the relative squared error of what
    it gives stays within that. ``search_rise``: from the variant's bits down, layer by layer, the
    least harmful first, while the calibration loss rises by no more. Null: neither. ``multipliers``
    of the way ``verilog``: sums of shifts (``adders``, and null), or a product a weight in the
    chip's own slices (``dsp``), which is what networks without them are compared with.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    name: Annotated[
        str,
        *rule(
            lambda name: re.fullmatch("[a-z][a-z0-9_]{0,31}", name) is not None,
            "1 to 32 lower-case letters, digits and _, a letter first",
        ),
    ]
    weight_bits: WeightBits | None = None
    activation_bits: Bits | None = None
    layer_bits: LayerBits | None = None
    sparsity: Sparsity | None = None
    filter_error: Error | None = None
    search_rise: Error | None = None
    ways: Ways | None = None
    multipliers: Multipliers | None = None

    @property
    def products(self) -> bool:
        """Whether its weights are multiplied with in DSP slices."""
        return self.multipliers == "dsp"


Variants = Annotated[
    tuple[Variant, ...],
    *rule(
        lambda given: len({MAIN, *(variant.name for variant in given)}) == len(given) + 1,
        f"a list of variants, each with a name of its own, none of them {MAIN}",
    ),
]


class SynthesizeParams(Section):
    """``synthesize``: a convolutional network, pruned, quantised, as firmware and netlist."""

    title: ClassVar[str] = "synthesize"

    network: Literal["blocks", "street_cnn", "enet"] = Field(
        description="blocks of convolutions; the published network for street digits; compressed "
        "ENet, which names the class of each pixel"
    )
    channels: Channels | None = Field(
        description="blocks: of each, convolution 3x3, ReLU, max-pooling 2x2; enet: filters of its "
        "stages; null of street_cnn"
    )
    input_bits: Bits
    weight_bits: WeightBits
    activation_bits: Bits
    layer_bits: LayerBits = Field(
        description="of a layer that has its own bits: its name, its weights', what it gives on"
    )
    sparsity: Sparsity = Field(description="share of weights that are pruned, the smallest")
    seed: Seed
    epochs: int = Field(ge=1, le=100_000, description="of the float network")
    quantised_epochs: int = Field(
        ge=1, le=100_000, description="of each variant, from the float weights"
    )
    batch_size: int = Field(ge=1, le=1_000_000)
    lr: float = Field(
        gt=0,
        le=10,
        description="peak; a quarter of it in quantised epochs, all of it for binary and ternary",
    )
    class_weights: ClassWeights = Field(
        description="enet: how much more a pixel of a rare class counts"
    )
    variants: Variants = Field(
        description="further networks from the same float weights: a name, and what they have "
        "otherwise of weight_bits, activation_bits, layer_bits, sparsity and ways; filter_error, "
        "search_rise and multipliers (adders or dsp) are theirs alone"
    )
    ways: Ways = Field(
        description="hls4ml: firmware, compiled and compared; verilog: simulated and synthesised"
    )
    images: int = Field(ge=1, le=100_000, description="of test that the compiled firmware is asked")
    streamed: int = Field(ge=2, le=100_000, description="of test through the simulated hardware")
    dense_cycles: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        description="verilog: cycles that all dense layers together may add; null: the fewest LUTs"
    )
    vectors: int = Field(
        ge=1, le=10_000_000, description="on which a netlist is held against its Verilog"
    )
    io_type: Literal["io_parallel", "io_stream"] = Field(
        description="io_stream for images of more than about 16 x 16: the other unrolls every pixel"
    )
    strategy: Literal["Latency", "Resource"]
    reuse_factor: ReuseFactor = Field(
        description="hls4ml: multiplications that share a multiplier, at most"
    )
    reuse_factors: ReuseFactors = Field(
        description="of a layer that has its own: its name, its factor"
    )
    backend: Literal["Vitis", "Vivado"]
    clock_period: float = Field(gt=0, le=1000, description="nanoseconds, assumed")
    part: Part = Field(description="the chip, in the vendor's spelling")

    @model_validator(mode="after")
    def _network_has_its_channels(self) -> SynthesizeParams:
        if (self.channels is None) != (self.network == "street_cnn"):
            expected = "null" if self.network == "street_cnn" else "a list"
            raise ValueError(
                f"synthesize.channels is {shown(self.channels)}; expected {expected} with "
                f"synthesize.network {self.network}"
            )
        if self.network != "enet" and self.class_weights != "none":
            raise ValueError(
                f"synthesize.class_weights is {shown(self.class_weights)}; expected none with "
                f"synthesize.network {self.network}"
            )
        return self

    @model_validator(mode="after")
    def _products_are_verilog(self) -> SynthesizeParams:
        for n, variant in enumerate(self.variants):
            ways = self.ways if variant.ways is None else variant.ways
            if variant.products and ways != ("verilog",):
                raise ValueError(
                    f'synthesize.variants[{n}].multipliers is "dsp" and its ways are '
                    f'{shown(ways)}; expected ["verilog"] alone, as no other way has them'
                )
        return self

    @property
    def dense(self) -> bool:
        """Whether each pixel has a class."""
        return self.network == "enet"

    def chosen(self) -> dict[str, Variant]:
        """Every variant with all that it has, the section's own first."""
        own = Variant(
            name=MAIN,
            weight_bits=self.weight_bits,
            activation_bits=self.activation_bits,
            layer_bits=self.layer_bits,
            sparsity=self.sparsity,
            ways=self.ways,
        )
        return {MAIN: own} | {
            variant.name: own.model_copy(update=variant.model_dump(exclude_none=True))
            for variant in self.variants
        }
