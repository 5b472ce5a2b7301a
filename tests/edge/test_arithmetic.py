"""Sums of three numbers and products, as the modules do them and as Verilog says them."""

from __future__ import annotations

import itertools
import random
import re
import subprocess
from importlib import resources
from pathlib import Path

import numpy as np

from geocore.edge.kernels import adder_kernel
from geocore.edge.nodes import Weighted
from geocore.edge.synthesis import cell_models
from geocore.edge.ultrascale import RENAMED
from geocore.edge.verilator import compile_verilog
from tests.edge.networks import tiny

PRODUCTS = [(7, 0, 7), (4, 1, 5), (1, 0, 3), (1, 1, 3), (2, 1, 2), (3, 0, 1), (8, 1, 4)]


def _side_by_side(count: int, seed: int) -> tuple[str, int]:
    """What is ours on the left, what is written out on the right; and the bits of all inputs.

    Sums of three with random parameters, and products ``PRODUCTS`` of bits of x, signed, bits of w.
    """
    drawn = random.Random(seed)
    lines, left, right, place, outputs = [], [], [], 0, 0
    for n, (bits, signed, wide) in enumerate(PRODUCTS):
        both = bits + wide
        x, w = f"given[{place} +: {bits}]", f"given[{place + bits} +: {wide}]"
        top = f"given[{place + bits - 1}]" if signed else "1'b0"
        lines.append(f"wire signed [{both - 1}:0] product{n}, wanted{n};")
        lines.append(f"wire signed [{bits}:0] x{n} = {{{top}, {x}}};")
        lines.append(f"wire signed [{wide - 1}:0] w{n} = {w};\nassign wanted{n} = x{n} * w{n};")
        lines.append(f"geocore_product #({bits}, {signed}, {wide}) p{n} ({x}, {w}, product{n});")
        left.append(f"product{n}")
        right.append(f"wanted{n}")
        place, outputs = place + both, outputs + both
    for n in range(count):
        terms, ports = [], []
        for _ in range(3):
            bits = drawn.randint(1, 9)
            pad = drawn.choice([0, 0, drawn.randint(0, 8)])
            terms.append((bits, drawn.randint(0, 1), drawn.randint(0, 1), pad))
            ports.append(f"given[{place} +: {bits}]")
            place += bits
        out = drawn.randint(1, max(bits + pad for bits, _, _, pad in terms) + 2)
        drop = drawn.choice([0, drawn.randint(0, 3)])
        listed = ", ".join(map(str, [*itertools.chain(*terms), out, drop]))
        lines.append(f"wire [{out - 1}:0] left{n}, right{n};")
        for module, side in (("own_adder", "left"), ("ternary_adder", "right")):
            lines.append(f"{module} #({listed}) {side}_{n} ({', '.join(ports)}, {side}{n});")
        left.append(f"left{n}")
        right.append(f"right{n}")
        outputs += out
    lines.append(f"assign left = {{{', '.join(left)}}};\nassign right = {{{', '.join(right)}}};")
    head = (
        f"module compare (input clk, input rst, input [{place - 1}:0] given,\n"
        f"    output [{outputs - 1}:0] left, output [{outputs - 1}:0] right);"
    )
    return "\n".join([head, *lines, "endmodule", ""]), place


def _rtl(name: str) -> str:
    return (resources.files("geocore.edge") / "rtl" / name).read_text(encoding="utf-8")


def test_signs_shifts_and_negations_are_those_of_what_is_written_out(tmp_path: Path) -> None:
    node = tiny().nodes[0]
    assert isinstance(node, Weighted)
    written = adder_kernel("k", node, node.weight.flatten(1)).shared["ternary_adder.v"]
    text = _rtl("ultrascale_ternary_adder.v").replace("ternary_adder #(", "own_adder #(")
    # As after synthesis, by the same commands.
    text = text.replace("geocore_carry", "CARRY8")
    for line in RENAMED.splitlines():
        if line.startswith("setparam"):
            _, _, _, table, name = line.split()
            text = text.replace(name.removeprefix("t:"), f"LUT6_2 #(.INIT({table}))")
    assert "geocore_" not in re.sub("//.*", "", text)
    compare, bits = _side_by_side(30, seed=1)
    product = _rtl("geocore_product.v")
    files = {"compare.v": compare, "written.v": written, "own.v": text, "product.v": product}
    files |= cell_models()
    program = compile_verilog(files, "compare", "compare.cpp", tmp_path, drawn=False)
    size = -(-bits // 32)
    rows = np.random.default_rng(0).integers(0, 2**32, (3_000, size), dtype=np.uint64)
    rows.astype(np.uint32).tofile(tmp_path / "given.bin")
    done = subprocess.run(
        [program, "given.bin", "3000", "0"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, f"cycle and bit: {done.stdout}"
    assert int(done.stdout) > 150  # bits that were 0 and 1
