"""The small network for a chip, its bits, and how it is laid out in hardware."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from geocore.config.section import Section, Seed, rule

__all__ = ["SynthesizeParams"]

Channels = Annotated[
    tuple[Annotated[int, Field(ge=1, le=1024)], ...],
    *rule(lambda widths: 1 <= len(widths) <= 8, "a list of 1 to 8 integers from 1 to 1024"),
]
# Two bits are the least of a symmetric signed grid; with more than twelve, a bias on the grid of
# the products would no longer fit into 32 bits.
Bits = Annotated[int, Field(ge=2, le=12)]
Part = Annotated[
    str,
    *rule(
        lambda part: re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", part) is not None,
        "a part's name of lower-case letters, digits and -, as xczu9eg-ffvb1156-2-e",
    ),
]


class SynthesizeParams(Section):
    """``synthesize``: a convolutional student, fixed-point quantised, as firmware by hls4ml."""

    title: ClassVar[str] = "synthesize"

    channels: Channels = Field(description="of each block: convolution 3x3, ReLU, max-pooling 2x2")
    weight_bits: Bits
    activation_bits: Bits
    input_bits: Bits
    seed: Seed
    epochs: int = Field(ge=1, le=100_000, description="of the float student")
    quantised_epochs: int = Field(
        ge=1, le=100_000, description="of quantisation-aware training, from the float weights"
    )
    batch_size: int = Field(ge=1, le=1_000_000)
    lr: float = Field(gt=0, le=10, description="peak; a quarter of it in the quantised epochs")
    io_type: Literal["io_parallel", "io_stream"] = Field(
        description="io_stream for images of more than about 16 x 16: the other unrolls every pixel"
    )
    strategy: Literal["Latency", "Resource"]
    reuse_factor: int = Field(
        ge=1, le=65536, description="multiplications that share a multiplier, at most"
    )
    backend: Literal["Vitis", "Vivado"]
    clock_period: float = Field(gt=0, le=1000, description="nanoseconds")
    part: Part = Field(description="the chip, in the vendor's spelling")
