"""Kernels without multipliers: a weighted node's sums as shifts and adders, by alkaid.

alkaid factors a constant matrix into shared sums (distributed arithmetic; arXiv:2507.04535), and
cuts what comes out into stages of a few adders each. A kernel takes all inputs of one output
position at once, each cycle, and gives its outputs ``latency`` cycles later.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from torch import Tensor

from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.nodes import Weighted
from geocore.edge.tools import quiet_import
from geocore.errors import UserError

__all__ = ["Kernel", "adder_kernel", "import_alkaid"]

_STAGE, _TABLE = re.compile(r"\blogic(\d+)\b"), re.compile(r"\btable_(?=[0-9a-f]{8})")


@dataclass(frozen=True)
class Kernel:
    """Verilog of a module ``name (clk, model_inp, model_out)``.

    Inputs lie one after the other from the lowest bits, each ``input.bits`` wide, and outputs each
    ``output.bits`` wide. ``files`` are the kernel's own, ``shared`` those that all kernels share.
    ``adders`` is alkaid's estimate of its LUTs, ``registers`` the bits between stages. ``apart``
    are modules of it that are better synthesised each by itself.
    """

    name: str
    files: dict[str, str]
    shared: dict[str, str]
    input: FixedPoint
    output: FixedPoint
    latency: int
    adders: float
    registers: int
    apart: tuple[str, ...] = ()


def adder_kernel(name: str, node: Weighted, weight: Tensor, *, levels: int = 4) -> Kernel:
    """The kernel of ``weight (out, in)``: the node's own in the order in which inputs lie.

    It gives the accumulator: alkaid's own rounding goes astray where all sums of an output are
    ties, or one number. ``levels`` is the number of adders in a row between two registers. Equal
    arguments give equal files. Raises ``UserError`` where alkaid is not installed, and
    ``ValueError`` for inputs of one signed bit, which it takes for unsigned.
    """
    import_alkaid()
    trace: Any = quiet_import("alkaid.trace")
    ops: Any = quiet_import("alkaid.trace.ops")
    passes: Any = quiet_import("alkaid.trace.passes")
    rtl: Any = quiet_import("alkaid.codegen.rtl.rtl_model")
    given, grid = node.input, node.accumulator
    if given.bits == 1 and given.signed:
        raise ValueError(f"input of {node.name} is {given}; expected an unsigned bit, or two bits")
    inputs = trace.FVArrayInput((weight.shape[1],))
    numbers = ops.quantize(inputs, int(given.signed), given.bits - given.signed, 0)
    sums = numbers @ weight.T.numpy().astype(np.float64) + node.bias.numpy().astype(np.float64)
    logic = trace.trace(inputs, sums, keep_dead_inputs=True)
    logic = passes.dead_code_elimin(passes.fuse_ternary_adders(logic), keep_dead_inputs=True)
    # The window before it is a register already.
    stages = trace.to_pipeline(
        passes.add_surrogate(logic, _skip_op8_cost=True),
        latency_cutoff=levels, verbose=False, reg_inp=False,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        model = rtl.RTLModel(stages, scratch, name, ternary_fuse=False, print_latency=False)
        model.write()
        source = Path(scratch) / "src"
        own = {path.name: _own(name, path.read_text()) for path in sorted(source.glob("*.v"))}
        shared = {path.name: path.read_text() for path in sorted((source / "static").glob("*.v"))}
    files = {_own(name, file): text for file, text in own.items()}
    signal = stages.out_signals[0]
    signed, above, below = np.max(signal.precisions, axis=0).tolist()
    files[f"{name}_ports.v"] = _ports(
        name, weight.shape, given, grid, (bool(signed), signed + above + below, -below)
    )
    return Kernel(
        name=f"{name}_ports",
        files=files,
        shared=shared,
        input=given,
        output=grid,
        latency=max(1, int(signal.schedule.bias)),
        adders=float(logic.cost),
        registers=int(model.reg_bits),
    )


def import_alkaid() -> ModuleType:
    """The package. Raises ``UserError`` where it is not installed."""
    if util.find_spec("alkaid") is None:
        raise UserError("alkaid is not installed; expected it here: pip install 'geocore[chip]'")
    return quiet_import("alkaid")


def _own(name: str, text: str) -> str:
    """With the kernel's name before those that alkaid gives stages and tables of every kernel."""
    return _TABLE.sub(f"{name}_table_", _STAGE.sub(rf"{name}_stage\1", text))


def _ports(
    name: str,
    shape: tuple[int, ...],
    given: FixedPoint,
    grid: FixedPoint,
    found: tuple[bool, int, int],
) -> str:
    """The kernel with every output as wide as ``grid``.

    alkaid gives the bits that its intervals prove to be enough, alike for all outputs: ``found``
    says whether they are signed, how many they are, and at which bit of the grid they begin. Before
    the grid's first they are zeros: an output that is always 0 has no step of its own.
    """
    outputs, inputs = shape
    signed, bits, first = found
    head = f"""// {inputs} numbers {given} to {outputs} numbers {grid}, all at once.
module {name}_ports (
    input wire clk,
    input wire [{inputs * given.bits - 1}:0] model_inp,
    output wire [{outputs * grid.bits - 1}:0] model_out
);"""
    above, below, first = grid.bits - bits - first, max(-first, 0), max(first, 0)
    if bits <= below:
        return f"{head}\n    assign model_out = 0;  // none of them ever moves\nendmodule\n"
    lines = [
        head,
        f"    wire [{outputs * bits - 1}:0] narrow;",
        f"    {name}_wrapper kernel (.clk(clk), .model_inp(model_inp), .model_out(narrow));",
    ]
    for n in range(outputs):
        value = f"narrow[{n * bits + below} +: {bits - below}]"
        parts = [value, f"{first}'b0"] if first else [value]
        if above > 0:
            fill = f"{{{above}{{narrow[{n * bits + bits - 1}]}}}}" if signed else f"{above}'b0"
            parts.insert(0, fill)
        lines.append(
            f"    assign model_out[{n * grid.bits} +: {grid.bits}] = {{{', '.join(parts)}}};"
        )
    return "\n".join([*lines, "endmodule", ""])
