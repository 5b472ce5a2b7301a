"""The Verilog module of one node: which of the modules in ``geocore/edge/rtl``, and how joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil

import torch
from torch import Tensor

from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.kernels import Kernel, adder_kernel
from geocore.edge.nodes import (
    Add,
    Concatenate,
    Convolution,
    Dense,
    MaxPool,
    Node,
    Shape,
    Upsample,
    Weighted,
)
from geocore.edge.product_kernel import product_kernel

__all__ = ["NodeModule", "Place", "instance", "node_module"]


@dataclass(frozen=True)
class Place:
    """A node in its network: shapes and grids of what it reads and gives.

    ``levels`` adders lie between two registers of its kernel, or a multiplier a weight with
    ``products``; ``lanes`` of a dense node are the numbers that it takes a cycle, None for a
    kernel. ``prefix`` is the network's name.
    """

    node: Node
    shapes: Sequence[Shape]
    grids: Sequence[FixedPoint]
    shape: Shape
    grid: FixedPoint
    levels: int
    lanes: int | None
    prefix: str = "net"
    products: bool = False

    @property
    def module(self) -> str:
        """The name of its module."""
        return f"{self.prefix}_{self.node.name}"

    @property
    def part(self) -> str:
        """How names of what its module holds begin; no module's does: nodes begin with letters."""
        return f"{self.prefix}__{self.node.name}"


@dataclass
class NodeModule:
    """The module ``name``, its text, the tables that it reads and the kernel that it holds."""

    name: str
    text: str = ""
    tables: dict[str, str] = field(default_factory=dict)
    kernel: Kernel | None = None


def node_module(place: Place) -> NodeModule:
    """The module of a node.

    Its ports are ``clk``, ``rst``, and for each source and for what it gives ``data``, ``valid``
    and ``ready``: ``in`` or, of several, ``in0``, ``in1`` and so on; ``out``.
    """
    made = NodeModule(place.module)
    node = place.node
    if isinstance(node, Convolution):
        body = _convolution(made, place, node)
    elif isinstance(node, Dense):
        body = _dense(made, place, node)
    elif isinstance(node, MaxPool):
        body = instance(
            "geocore_pool", "pool",
            HEIGHT=place.shapes[0][0], WIDTH=place.shapes[0][1], CHANNELS=place.shape[2],
            BITS=place.grid.bits, SIGNED=int(place.grid.signed), SIZE=node.size,
        )  # fmt: skip
    elif isinstance(node, Upsample):
        body = instance(
            "geocore_upsample", "rows",
            WIDTH=place.shapes[0][1], BITS=place.shape[2] * place.grid.bits, FACTOR=node.factor,
        )  # fmt: skip
    elif isinstance(node, (Add, Concatenate)):
        body = _joined(place, node)
    else:
        raise ValueError(f"{node.name} is a {type(node).__name__}; expected a node to stream")
    made.text = f"{_head(place)}{body}endmodule\n"
    return made


def instance(
    module: str,
    name: str,
    *,
    given: str = "in",
    data: str | None = None,
    out: str = "out",
    **parameters: int | str,
) -> str:
    """An instance with one stream in, ``given``, whose data may be another wire, and one out."""
    listed = ", ".join(f".{key}({value})" for key, value in parameters.items())
    return (
        f"    {module} #({listed}) {name} (\n"
        "        .clk(clk), .rst(rst),\n"
        f"        .in_data({data or f'{given}_data'}), .in_valid({given}_valid), "
        f".in_ready({given}_ready),\n"
        f"        .out_data({out}_data), .out_valid({out}_valid), .out_ready({out}_ready)\n"
        "    );\n"
    )


def _head(place: Place) -> str:
    pairs = list(zip(place.shapes, place.grids, strict=True))
    given = " and ".join(f"{_sized(shape)} {grid}" for shape, grid in pairs)
    widths = [shape[2] * grid.bits for shape, grid in pairs]
    names = ["in"] if len(widths) == 1 else [f"in{n}" for n in range(len(widths))]
    ports = ["input wire clk", "input wire rst"]
    for port, bits in zip(names, widths, strict=True):
        ports += [
            f"input wire [{bits - 1}:0] {port}_data",
            f"input wire {port}_valid",
            f"output wire {port}_ready",
        ]
    ports += [
        f"output wire [{place.shape[2] * place.grid.bits - 1}:0] out_data",
        "output wire out_valid",
        "input wire out_ready",
    ]
    listed = ",\n".join(f"    {port}" for port in ports)
    said = f"// {place.node.kind}: {given} to {_sized(place.shape)} {place.grid}"
    return f"{said}\nmodule {place.module} (\n{listed}\n);\n"


def _sized(shape: Shape) -> str:
    return " x ".join(map(str, shape))


def _convolution(made: NodeModule, place: Place, node: Convolution) -> str:
    rows, columns = node.weight.shape[2:]
    height, width, channels = place.shapes[0]
    above, below, left, right = node.padding
    bits = channels * node.input.bits
    text = f"    wire [{rows * columns * bits - 1}:0] window_data;\n"
    text += "    wire window_valid, window_ready;\n"
    text += instance(
        "geocore_window", "window",
        out="window",
        HEIGHT=height, WIDTH=width, BITS=bits, ROWS=rows, COLUMNS=columns, STRIDE=node.stride,
        ABOVE=above, BELOW=below, LEFT=left, RIGHT=right,
    )  # fmt: skip
    # As the window lies: pixel by pixel, channels within.
    weight = node.weight.permute(0, 2, 3, 1).flatten(1)
    return text + _kernel(made, place, node, weight, "window")


def _dense(made: NodeModule, place: Place, node: Dense) -> str:
    if place.lanes is None:
        return _kernel(made, place, node, node.weight, "in")
    return _shared(made, place, node, place.lanes)


def _kernel(made: NodeModule, place: Place, node: Weighted, weight: Tensor, given: str) -> str:
    """A kernel on a stream, with a queue behind it so that it can wait."""
    if place.products:
        kernel = product_kernel(f"{place.part}_products", node, weight)
    else:
        kernel = adder_kernel(f"{place.part}_kernel", node, weight, levels=place.levels)
    made.kernel = kernel
    outputs, sums, grid = place.shape[2], kernel.output, place.grid
    bits = outputs * grid.bits
    return (
        f"    wire [{outputs * sums.bits - 1}:0] kernel_data;\n"
        f"    wire [{bits - 1}:0] rounded;\n"
        f"    {kernel.name} kernel "
        f"(.clk(clk), .model_inp({given}_data), .model_out(kernel_data));\n"
        f"{_onto('kernel_data', outputs, sums, grid, 0, 'rounded')}"
        f"    geocore_credit #(.BITS({bits}), .LATENCY({kernel.latency}), "
        f".DEPTH({kernel.latency + 2})) credit (\n"
        "        .clk(clk), .rst(rst),\n"
        f"        .in_valid({given}_valid), .in_ready({given}_ready),\n"
        "        .kernel_data(rounded),\n"
        "        .out_data(out_data), .out_valid(out_valid), .out_ready(out_ready)\n"
        "    );\n"
    )


def _shared(made: NodeModule, place: Place, node: Dense, lanes: int) -> str:
    height, width, channels = place.shapes[0]
    inputs = lanes * ceil(channels / lanes)
    outputs, beats = len(node.weight), height * width
    grid = node.accumulator
    weights, biases = (f"{place.part}_{what}.hex" for what in ("weights", "biases"))
    table = torch.zeros(outputs, beats, inputs, dtype=torch.int64)
    table[:, :, :channels] = node.weight.view(outputs, beats, channels)
    # (step, output, lane): a row a step, the first output's first lane in the lowest bits.
    rows = table.view(outputs, beats * inputs // lanes, lanes).transpose(0, 1)
    # The module's weights are signed.
    weight_bits = node.weight_format.bits + (not node.weight_format.signed)
    made.tables[weights] = _hexadecimal(rows.flatten(1), weight_bits)
    made.tables[biases] = _hexadecimal(node.bias[None], grid.bits)
    spare = (inputs - channels) * node.input.bits
    text = f"    wire [{outputs * grid.bits - 1}:0] sums_data;\n"
    text += "    wire sums_valid, sums_ready;\n"
    text += instance(
        "geocore_dense", "sums",
        data=f"{{{spare}'b0, in_data}}" if spare else "in_data", out="sums",
        BEATS=beats, INPUTS=inputs, OUTPUTS=outputs, LANES=lanes,
        INPUT_BITS=node.input.bits, INPUT_SIGNED=int(node.input.signed),
        WEIGHT_BITS=weight_bits, ACCUMULATOR=grid.bits,
        WEIGHTS=f'"{weights}"', BIASES=f'"{biases}"',
    )  # fmt: skip
    text += "    assign out_valid = sums_valid;\n    assign sums_ready = out_ready;\n"
    return text + _onto("sums_data", outputs, grid, place.grid)


def _joined(place: Place, node: Add | Concatenate) -> str:
    """All sources at once, then a queue of two words, which is a register that can wait."""
    bits = place.shape[2] * place.grid.bits
    names = [f"in{n}" for n in range(len(place.shapes))]
    text = f"    wire [{bits - 1}:0] joined_data;\n    wire joined_ready;\n"
    text += f"    wire joined_valid = {' && '.join(f'{name}_valid' for name in names)};\n"
    for name in names:
        text += f"    assign {name}_ready = joined_ready && joined_valid;\n"
    if isinstance(node, Concatenate):
        first = 0
        for name, shape, grid in zip(names, place.shapes, place.grids, strict=True):
            text += _onto(f"{name}_data", shape[2], grid, place.grid, first, "joined_data")
            first += shape[2]
    else:
        text += _sums(place, names)
    return text + instance("geocore_fifo", "queue", given="joined", BITS=bits, DEPTH=2)


def _sums(place: Place, names: Sequence[str]) -> str:
    fraction = max(grid.fraction for grid in place.grids)
    # Of the sum: a bit more for each doubling of the number of terms, and one for the sign.
    widest = max(grid.bits + fraction - grid.fraction for grid in place.grids)
    wide = FixedPoint(widest + len(names).bit_length() + 1, fraction, signed=True)
    channels = place.shape[2]
    text = f"    wire [{channels * wide.bits - 1}:0] sums;\n"
    for c in range(channels):
        terms = []
        for name, grid in zip(names, place.grids, strict=True):
            value = f"{name}_data[{c * grid.bits} +: {grid.bits}]"
            sign = f"{name}_data[{(c + 1) * grid.bits - 1}]" if grid.signed else "1'b0"
            low = fraction - grid.fraction
            high = wide.bits - grid.bits - low
            parts = [f"{{{high}{{{sign}}}}}", value, *([f"{low}'b0"] if low else [])]
            terms.append(f"{{{', '.join(parts)}}}")
        text += f"    assign sums[{c * wide.bits} +: {wide.bits}] = {' + '.join(terms)};\n"
    return text + _onto("sums", channels, wide, place.grid, 0, "joined_data")


def _onto(
    wire: str,
    count: int,
    given: FixedPoint,
    grid: FixedPoint,
    first: int = 0,
    out: str = "out_data",
) -> str:
    """``count`` numbers of a wire onto the grid, from the place ``first`` of what goes out."""
    if given == grid:
        return f"    assign {out}[{first * grid.bits} +: {count * grid.bits}] = {wire};\n"
    text = ""
    for n in range(count):
        text += (
            f"    geocore_requantise #(.IN_BITS({given.bits}), .IN_SIGNED({int(given.signed)}), "
            f".IN_FRACTION({given.fraction}),\n        .OUT_BITS({grid.bits}), "
            f".OUT_SIGNED({int(grid.signed)}), .OUT_FRACTION({grid.fraction})) "
            f"onto{first + n} (\n"
            f"        .in_data({wire}[{n * given.bits} +: {given.bits}]), "
            f".out_data({out}[{(first + n) * grid.bits} +: {grid.bits}]));\n"
        )
    return text


def _hexadecimal(rows: Tensor, bits: int) -> str:
    """A line a row, its first number in the lowest bits."""
    mask = (1 << bits) - 1
    lines = []
    for row in rows.tolist():
        word = 0
        for number in reversed(row):
            word = word << bits | (number & mask)
        lines.append(f"{word:0{-(-len(row) * bits // 4)}x}")
    return "\n".join(lines) + "\n"
