"""Is a netlist what was written: a module in Verilog and in the chip's primitives, side by side."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from geocore.edge.sources import Sources
from geocore.edge.synthesis import Netlist, cell_models
from geocore.edge.verilator import compile_verilog
from geocore.errors import UserError

__all__ = ["Equivalence", "equivalent"]

_PORT = re.compile(r"^ *(input|output) (?:wire|reg) (?:\[(\d+):0\] )?(\w+)", re.MULTILINE)
_LUT = re.compile(
    r"^  LUT(?P<size>[1-6])(?P<two>_2)? #\(\s*\.INIT\((?P<table>[0-9]+'h[0-9a-f]+)\)\s*\)[^;]*?"
    r"\((?P<ports>\s*\.[^;]*)\);",
    re.MULTILINE,
)
_PIN = re.compile(r"\.([IO][0-6]?)\((.*)\)")
_RESET = 2  # cycles, as in compare.cpp


@dataclass(frozen=True)
class Equivalence:
    """No difference in ``vectors`` cycles; the share ``moved`` of the output's bits was 0 and 1."""

    module: str
    vectors: int
    moved: float


@dataclass(frozen=True)
class _Port:
    given: bool
    bits: int
    name: str
    number: int  # bits of one of the numbers that pass


def equivalent(
    sources: Sources,
    netlist: Netlist,
    folder: Path,
    *,
    vectors: int = 20_000,
    seed: int = 0,
) -> Equivalence:
    """Hold a module's netlist against its Verilog in ``vectors`` cycles, each with its own inputs.

    The module is a node's or a kernel's. Both are simulated in one program (Verilator; yosys'
    models of the primitives), and all outputs compared each cycle: data while they are valid, a
    kernel's from its latency on. Inputs are drawn from ``seed``: numbers all over their range, at
    its ends, most of them zero; who gives and who takes wait at random. Raises ``UserError`` with
    the first vector that tells the two apart, and ``ValueError`` for another module's netlist.
    """
    module = sources.module
    if netlist.module != module:
        raise ValueError(f"netlist is of {netlist.module}; expected {module}'s")
    if vectors < 1:
        raise ValueError(f"vectors is {vectors}; expected at least 1")
    ports = _ports(sources)
    latency = _RESET if sources.latency is None else sources.latency
    twin = f"{module}__netlist"
    files = dict(sources.files) | cell_models()
    text = re.sub(rf"\bmodule {module}\b", f"module {twin}", netlist.verilog)
    files[f"{twin}.v"] = _LUT.sub(_looked_up, text)
    files["compare.v"] = _side_by_side(module, twin, ports)
    program = compile_verilog(files, "compare", "compare.cpp", folder, drawn=False)
    words = _vectors([port for port in ports if port.given], vectors + latency, seed)
    words.tofile(program.parents[1] / "given.bin")
    done = subprocess.run(
        [program, "given.bin", str(len(words)), str(latency)],
        cwd=program.parents[1], capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode == 3:
        cycle, bit = map(int, done.stdout.split())
        vector = cycle if sources.latency is None else cycle - latency
        raise UserError(
            f"{module}: its netlist differs in bit {_named(bit, ports)} for vector {vector}, "
            f"0x{_hexadecimal(words[vector])}; expected no difference"
        )
    if done.returncode != 0:
        raise RuntimeError(f"comparison: exit code {done.returncode}: {done.stderr.strip()}")
    outputs = sum(port.bits for port in ports if not port.given)
    return Equivalence(module, vectors, int(done.stdout) / outputs)


def _ports(sources: Sources) -> list[_Port]:
    """Of its module, without clock and reset."""
    text = sources.files[f"{sources.module}.v"]
    found = []
    for way, high, name in _PORT.findall(text[: text.index(");")]):
        bits = int(high or 0) + 1
        found.append(_Port(way == "input", bits, name, sources.numbers.get(name, bits)))
    return [port for port in found if port.name not in ("clk", "rst")]


def _looked_up(cell: re.Match[str]) -> str:
    """A LUT as an expression: by yosys' model, every other table makes a module of its own."""
    pins = dict(_PIN.findall(cell["ports"]))
    table = cell["table"]
    if cell["two"]:
        four = ", ".join(pins[f"I{place}"] for place in (4, 3, 2, 1, 0))
        upper = f"  assign {pins['O6']} = {table} >> {{{pins['I5']}, {four}}};"
        return f"{upper}\n  assign {pins.get('O5', '_')} = {table} >> {{1'h0, {four}}};"
    places = ", ".join(pins[f"I{place}"] for place in reversed(range(int(cell["size"]))))
    return f"  assign {pins['O']} = {table} >> {{{places}}};"


def _side_by_side(module: str, twin: str, ports: list[_Port]) -> str:
    given = sum(port.bits for port in ports if port.given)
    outputs = [port for port in ports if not port.given]
    names = {port.name for port in outputs}
    reset = ", .rst(rst)" if any(port.name.endswith("_valid") for port in ports) else ""
    lines = [
        f"// {module} and its netlist.",
        "module compare (",
        "    input wire clk,",
        "    input wire rst,",
        f"    input wire [{given - 1}:0] given,",
        f"    output wire [{sum(port.bits for port in outputs) - 1}:0] left,",
        f"    output wire [{sum(port.bits for port in outputs) - 1}:0] right",
        ");",
    ]
    for side, name in (("left", module), ("right", twin)):
        joined, place = [f".clk(clk){reset}"], 0
        for port in ports:
            if port.given:
                joined.append(f".{port.name}(given[{place} +: {port.bits}])")
                place += port.bits
            else:
                lines.append(f"    wire [{port.bits - 1}:0] {side}_{port.name};")
                joined.append(f".{port.name}({side}_{port.name})")
        lines.append(f"    {name} {side}_module ({', '.join(joined)});")
        place = 0
        for port in outputs:
            value, valid = f"{side}_{port.name}", port.name.replace("_data", "_valid")
            if valid != port.name and valid in names:  # else nobody looks at it
                value = f"{side}_{valid} ? {value} : {port.bits}'b0"
            lines.append(f"    assign {side}[{place} +: {port.bits}] = {value};")
            place += port.bits
    return "\n".join([*lines, "endmodule", ""])


def _vectors(ports: list[_Port], count: int, seed: int) -> npt.NDArray[np.uint32]:
    """Bits of all inputs, a row a cycle, in 32-bit words: corners among them, and first."""
    generator = np.random.default_rng(seed)
    columns = []
    kind = generator.integers(0, 5, (count, 1))
    kind[:6] = np.arange(6)[:, None] + 4
    for port in ports:
        shape = (count, port.bits)
        if port.bits == 1:  # who gives, who takes
            columns.append(generator.random(shape) < 0.75)
            continue
        top = np.arange(port.bits) % port.number == port.number - 1  # each number's highest bit
        ends = np.stack([0 * top, 0 * top + 1, top, ~top]).astype(bool)
        drawn = generator.integers(0, 4, (count, -(-port.bits // port.number)))
        drawn = drawn.repeat(port.number, axis=1)[:, : port.bits]
        columns.append(
            np.select(
                [kind < 2, kind == 2, kind == 3, kind == 4],
                [
                    generator.random(shape) < 0.5,  # all over the range
                    generator.random(shape) < 0.05,  # most of them zero
                    generator.random(shape) < 0.9,
                    np.take_along_axis(ends, drawn, axis=0),  # each number at one of its ends
                ],
                ends[np.maximum(kind - 5, 0)[:, 0] % 4],  # all of them at one
            )
        )
    rows = np.concatenate(columns, axis=1).astype(np.uint8)
    size = -(-rows.shape[1] // 32)
    padded = np.zeros((count, 32 * size), np.uint8)
    padded[:, : rows.shape[1]] = rows
    return np.packbits(padded, axis=1, bitorder="little").view(np.uint32)


def _named(bit: int, ports: list[_Port]) -> str:
    for port in ports:
        if not port.given:
            if bit < port.bits:
                return f"{bit} of {port.name}"
            bit -= port.bits
    raise ValueError(f"bit is {bit}; expected one of the outputs")


def _hexadecimal(words: npt.NDArray[np.uint32]) -> str:
    return "".join(f"{word:08x}" for word in reversed(words.tolist())).lstrip("0") or "0"
