"""Kernels of plain products and trees of adders: a multiplier a weight, as a chip's DSP slices are.

``y_o = b_o + sum_i w_oi x_i`` with one ``*`` for each weight that is not 0, a register behind it,
and adders two by two with a register behind each row. What synthesis makes of a product is for it
to say: a slice where both factors are wide, tables where they are not. It is what the kernels
without multipliers (``geocore.edge.kernels``) are compared with, and takes their ports' place.
"""

from __future__ import annotations

from torch import Tensor

from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.kernels import Kernel
from geocore.edge.nodes import Weighted

__all__ = ["product_kernel"]


def product_kernel(name: str, node: Weighted, weight: Tensor) -> Kernel:
    """The kernel of ``weight (out, in)``, with the ports and the contract of ``adder_kernel``.

    All outputs come ``latency`` cycles behind their inputs: one for the products, one for each row
    of adders of the output that has most. Every output is a module of its own, ``NAME_outputN``,
    held ``apart``: thousands of products in one piece take synthesis hours. What two outputs might
    share is so counted twice; of products with different weights that is next to nothing.
    ``registers`` are the bits of all registers, ``adders`` 0: nothing is estimated. Equal arguments
    give equal files.
    """
    given, grid = node.input, node.accumulator
    rows = [_leaves(row) for row in weight.tolist()]
    biases = node.bias.tolist()
    counts = [len(row) + (bias != 0) for row, bias in zip(rows, biases, strict=True)]
    latency = 1 + max(1, max(counts) - 1).bit_length() if max(counts) > 1 else 1
    files: dict[str, str] = {}
    registers = 0
    for n, (row, bias) in enumerate(zip(rows, biases, strict=True)):
        module = f"{name}_output{n}"
        files[f"{module}.v"], bits = _output(module, row, bias, weight.shape[1], node, latency)
        registers += bits
    files[f"{name}.v"] = _whole(name, weight.shape, given, grid)
    apart = tuple(f"{name}_output{n}" for n in range(len(rows)))
    return Kernel(
        name, files, {}, given, grid, latency, adders=0.0, registers=registers, apart=apart
    )


def _leaves(row: list[int]) -> list[tuple[int, int]]:
    return [(place, weight) for place, weight in enumerate(row) if weight]


def _output(
    module: str,
    row: list[tuple[int, int]],
    bias: int,
    inputs: int,
    node: Weighted,
    latency: int,
) -> tuple[str, int]:
    """Verilog of one output, and the bits of its registers."""
    given, wide = node.input, node.accumulator.bits
    weight_bits = node.weight_format.bits + (not node.weight_format.signed)
    lines = [
        f"// {len(row)} products and their sum, {latency} cycles.",
        "(* keep_hierarchy *)",
        f"module {module} (",
        "    input wire clk,",
        f"    input wire [{inputs * given.bits - 1}:0] model_inp,",
        f"    output wire [{wide - 1}:0] sum",
        ");",
    ]
    steps: list[str] = []
    values: list[str] = []
    registers = 0

    def register(name: str, bits: int, value: str) -> None:
        nonlocal registers
        registers += bits
        lines.append(f"    reg signed [{bits - 1}:0] {name};")
        steps.append(f"        {name} <= {value};")

    for place, weight in row:
        low = place * given.bits
        sign = f"model_inp[{low + given.bits - 1}]" if given.signed else "1'b0"
        taken = f"{{{sign}, model_inp[{low} +: {given.bits}]}}"
        lines.append(f"    wire signed [{given.bits}:0] x{place} = {taken};")
        constant = f"{'-' if weight < 0 else ''}{weight_bits + 1}'sd{abs(weight)}"
        register(f"product{place}", given.bits + weight_bits, f"x{place} * {constant}")
        values.append(f"product{place}")
    if bias:
        values.append(f"{'-' if bias < 0 else ''}{wide + 1}'sd{abs(bias)}")
    # Rows of adders; an odd value waits in a register, and so does a sum that is ready too early.
    for level in range(1, latency):
        bits = min(wide, given.bits + weight_bits + level) if not bias else wide
        after: list[str] = []
        for n in range(0, len(values), 2):
            name = f"sum{level}_{n // 2}"
            register(name, bits, " + ".join(values[n : n + 2]))
            after.append(name)
        values = after
    if steps:
        lines += ["    always @(posedge clk) begin", *steps, "    end"]
    lines.append(f"    wire signed [{wide - 1}:0] whole = {values[0] if values else 0};")
    lines.append("    assign sum = whole;")
    return "\n".join([*lines, "endmodule", ""]), registers


def _whole(name: str, shape: tuple[int, ...], given: FixedPoint, grid: FixedPoint) -> str:
    outputs, inputs = shape
    lines = [
        f"// {inputs} numbers {given} to {outputs} numbers {grid}, all at once.",
        f"module {name} (",
        "    input wire clk,",
        f"    input wire [{inputs * given.bits - 1}:0] model_inp,",
        f"    output wire [{outputs * grid.bits - 1}:0] model_out",
        ");",
    ]
    lines += [
        f"    {name}_output{n} output{n} (.clk(clk), .model_inp(model_inp), "
        f".sum(model_out[{n * grid.bits} +: {grid.bits}]));"
        for n in range(outputs)
    ]
    return "\n".join([*lines, "endmodule", ""])
