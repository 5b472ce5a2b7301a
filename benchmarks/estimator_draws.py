"""What the estimator is fitted to, and held against: parts and kernels at random, and by name."""

from __future__ import annotations

import math
import random

import torch

from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.nodes import IMAGES, Dense

COUNTS = {
    "credit": 24, "dense": 20, "fifo": 28, "fork": 5, "pool": 28, "requantise": 70, "sum": 10,
    "upsample": 16, "window": 40,
}  # fmt: skip
# Of networks: outputs, inputs, weight bits, input bits, share of zeros.
HELD = {
    "svhn conv 0, 7 bits": (16, 27, 7, 8, 0.5),
    "svhn conv 1, 7 bits": (16, 144, 7, 7, 0.5),
    "svhn conv 1, ternary": (16, 144, 2, 4, 0.4),
    "svhn dense 1, 6 bits": (64, 42, 6, 6, 0.6),
    "svhn dense 2, 7 bits": (10, 64, 7, 7, 0.5),
    "enet 3x3, 8 to 8, 4 bits": (8, 72, 4, 8, 0.0),
    "enet 3x3, 4 to 4, 8 bits": (4, 36, 8, 8, 0.0),
    "enet 1x1, 6 to 24, 8 bits": (24, 6, 8, 4, 0.0),
    "enet 1x1, 32 to 8, 4 bits": (8, 32, 4, 4, 0.0),
    "enet 5x1, 6 to 6, 6 bits": (6, 30, 6, 6, 0.3),
}


def kernel_shape(draw: random.Random) -> tuple[int, int]:
    taps = draw.choice([1, 1, 4, 5, 9, 9, 9, 25])
    outputs = draw.choice([2, 3, 4, 6, 8, 10, 12, 16, 24, 32, 42, 64])
    channels = draw.choice([1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 96])
    while outputs * channels * taps > 3000:
        if channels > 4 and draw.random() < 0.5:
            channels //= 2
        else:
            outputs = max(2, outputs // 2)
    return outputs, channels * taps


def drawn_node(
    chosen: tuple[int, int, int, int, float],
    seed: int,
    signed: bool = False,
    biased: bool = True,
) -> Dense:
    """A node of random weights: of one bit -1 and 1, of two -1, 0 and 1; the smallest are 0."""
    outputs, inputs, bits, input_bits, zeros = chosen
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(outputs, inputs, generator=generator)
    if zeros:
        least = weight.abs().flatten().kthvalue(max(1, int(zeros * weight.numel()))).values
        weight = torch.where(weight.abs() <= least, 0.0, weight)
    if bits == 1:
        weight = weight.sign()
    elif bits == 2:
        weight = weight.sign() * (weight.abs() > 0.4)
    else:
        weight = (weight / weight.abs().max().clamp(min=1e-9) * (2 ** (bits - 1) - 1)).round()
    reach = 2 ** (bits + input_bits - 1) if biased else 1
    bias = torch.randint(-reach, reach, (outputs,), generator=generator) if biased else (
        torch.zeros(outputs, dtype=torch.int64)
    )  # fmt: skip
    given = FixedPoint(input_bits, 0, signed=signed and input_bits > 1)
    form = FixedPoint(max(bits, 2), 0, signed=True)
    return Dense("drawn", (IMAGES,), weight.long(), bias, form, given, None)


def parameters(kind: str, draw: random.Random) -> dict[str, int]:
    """What networks ask of a part, small and large."""

    def by_size(low: int, high: int) -> int:
        return round(math.exp(draw.uniform(math.log(low), math.log(high))))

    whole, one_of = draw.randint, draw.choice
    if kind == "fifo":
        bits, depth = by_size(2, 200), by_size(2, 1500)
        while bits * depth > 30_000:
            depth = max(2, depth // 2)
        return {"BITS": bits, "DEPTH": depth}
    if kind == "credit":
        latency = whole(1, 7)
        return {"BITS": by_size(4, 300), "LATENCY": latency, "DEPTH": latency + 2}
    if kind == "fork":
        return {"READERS": whole(2, 6)}
    if kind == "window":
        rows, columns = one_of(
            [(3, 3), (3, 3), (3, 3), (2, 2), (1, 1), (1, 1), (5, 5), (1, 5), (5, 1)]
        )
        width, height, bits = by_size(4, 250), by_size(4, 200), by_size(3, 130)
        while width * bits * (rows - 1) > 25_000:
            bits = max(3, bits // 2)
        sides = ("ABOVE", rows), ("BELOW", rows), ("LEFT", columns), ("RIGHT", columns)
        padded = draw.random() < 0.5
        padding = {side: whole(0, size - 1) if padded else 0 for side, size in sides}
        return {
            "HEIGHT": max(height, rows), "WIDTH": max(width, columns), "BITS": bits,
            "ROWS": rows, "COLUMNS": columns, "STRIDE": one_of([1, 1, 2]), **padding,
        }  # fmt: skip
    if kind == "pool":
        return {
            "HEIGHT": by_size(4, 200), "WIDTH": by_size(6, 250), "CHANNELS": by_size(1, 32),
            "BITS": whole(2, 9), "SIGNED": whole(0, 1), "SIZE": one_of([2, 2, 2, 3]),
        }  # fmt: skip
    if kind == "upsample":
        return {"WIDTH": by_size(4, 130), "BITS": by_size(3, 150), "FACTOR": one_of([2, 2, 3])}
    if kind == "requantise":
        bits, fraction, out = whole(6, 24), whole(2, 14), whole(1, 9)
        dropped = min(one_of([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, -1]), bits - 2)
        return {
            "IN_BITS": bits, "IN_SIGNED": one_of([1, 1, 1, 1, 0]), "IN_FRACTION": fraction,
            "OUT_BITS": out, "OUT_SIGNED": one_of([0, 0, 1]) if out > 1 else 0,
            "OUT_FRACTION": fraction - dropped,
        }  # fmt: skip
    if kind == "sum":
        return {"BITS": whole(2, 14), "TERMS": one_of([2, 2, 3, 4])}
    outputs, lanes = by_size(2, 24), whole(1, 4)
    bits, weight_bits = whole(2, 8), whole(2, 8)
    while outputs * lanes * bits * weight_bits > 700:
        outputs, lanes = max(2, outputs // 2), max(1, lanes - 1)
    beats, inputs = one_of([1, 1, 4, 9, 16]), lanes * whole(1, 10)
    return {
        "BEATS": beats, "INPUTS": inputs, "OUTPUTS": outputs, "LANES": lanes, "INPUT_BITS": bits,
        "INPUT_SIGNED": whole(0, 1), "WEIGHT_BITS": weight_bits,
        "ACCUMULATOR": bits + weight_bits + math.ceil(math.log2(beats * inputs + 1)),
    }  # fmt: skip


def dense_tables(n: int, p: dict[str, int], draw: random.Random) -> dict[str, str]:
    rows, numbers = p["BEATS"] * p["INPUTS"] // p["LANES"], p["OUTPUTS"] * p["LANES"]
    bits, highest = p["WEIGHT_BITS"], 2 ** (p["WEIGHT_BITS"] - 1) - 1
    lines = []
    for _ in range(rows):
        word = 0
        for _ in range(numbers):
            value = 0 if draw.random() < 0.4 else round(draw.gauss(0, highest / 2.5))
            word = word << bits | (max(-highest, min(highest, value)) & ((1 << bits) - 1))
        lines.append(f"{word:0{-(-numbers * bits // 4)}x}")
    wide = p["OUTPUTS"] * p["ACCUMULATOR"]
    bias = f"{draw.getrandbits(wide):0{-(-wide // 4)}x}\n"
    return {f"w{n}.hex": "\n".join(lines) + "\n", f"b{n}.hex": bias}
