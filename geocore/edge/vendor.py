"""A vendor's own synthesis of the firmware, where its tools are here, and what its reports say."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from geocore.edge.firmware import PROJECT
from geocore.edge.synthesis import Resources
from geocore.edge.vendor_tools import COMPILERS, SYNTHESIS, Backend, missing_tools
from geocore.errors import UserError

__all__ = [
    "HlsReport",
    "Timing",
    "VendorReport",
    "parse_csynth",
    "parse_timing",
    "parse_utilisation",
    "run_vendor",
]

_UTILISATION, _TIMING, _SCRIPT = "utilisation.rpt", "timing.rpt", "route.tcl"
_CSYNTH = f"{PROJECT}_prj/solution1/syn/report/{PROJECT}_csynth.xml"
_ROUTE = f"""\
source project.tcl
read_verilog [glob {PROJECT}_prj/solution1/syn/verilog/*.v]
synth_design -top {PROJECT} -part $part -mode out_of_context
create_clock -name ap_clk -period $clock_period [get_ports ap_clk]
opt_design
place_design
route_design
report_utilization -file {_UTILISATION}
report_timing_summary -file {_TIMING}
"""
_HLS_OPTIONS = {
    "reset": 1, "csim": 0, "synth": 1, "cosim": 0, "validation": 0, "export": 0, "vsynth": 0,
    "fifo_opt": 0,
}  # fmt: skip


@dataclass(frozen=True)
class HlsReport:
    """What the C++ compiler estimates: cycles of an image and between images, its clock, resources.

    Periods are nanoseconds. Its LUTs are known to be too many: they are no synthesis.
    """

    tool: str
    part: str
    latency: int
    interval: int
    target: float
    period: float
    resources: Resources


@dataclass(frozen=True)
class Timing:
    """The period that was asked for and the slack of the worst path, in nanoseconds."""

    tool: str
    period: float
    slack: float

    @property
    def clock(self) -> float:
        """The frequency in MHz that the worst path allows: ``1000 / (period - slack)``."""
        return 1000 / (self.period - self.slack)


@dataclass(frozen=True)
class VendorReport:
    """The compiler's estimate, and what is placed and routed; none without the tool for it."""

    estimate: HlsReport
    resources: Resources | None = None
    timing: Timing | None = None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> VendorReport:
        """The inverse of ``dataclasses.asdict``."""
        estimate, resources, timing = (values[name] for name in ("estimate", "resources", "timing"))
        return cls(
            HlsReport(**{**estimate, "resources": Resources(**estimate["resources"])}),
            None if resources is None else Resources(**resources),
            None if timing is None else Timing(**timing),
        )


def run_vendor(sources: Path, backend: Backend, log: Path) -> VendorReport | None:
    """Compile ``sources`` to Verilog, then place and route it, as far as there are tools for it.

    None, and nothing is run, where the compiler is not on PATH; without vivado its estimate alone.
    What the tools say goes to the end of ``log``. Raises ``UserError`` for a tool that fails and
    for a report that is not as it should be.
    """
    lacks = missing_tools(backend)
    if COMPILERS[backend][0] in lacks:
        return None
    tool = next(name for name in COMPILERS[backend] if shutil.which(name))
    if backend == "Vivado":
        given = " ".join(f"{name}={value}" for name, value in _HLS_OPTIONS.items())
        command = [tool, "-f", "build_prj.tcl", given]
    else:
        lines = "".join(f"    {name} {value}\n" for name, value in _HLS_OPTIONS.items())
        options = f"array set opt {{\n{lines}}}\n"
        (sources / "build_opt.tcl").write_text(options, encoding="utf-8")
        newer = ["--mode", "hls", "--tcl", "build_prj.tcl"]
        command = [tool, *(newer if tool == "vitis-run" else ["-f", "build_prj.tcl"])]
    _run(command, sources, log)
    estimate = parse_csynth(sources / _CSYNTH)
    if SYNTHESIS in lacks:
        return VendorReport(estimate)
    (sources / _SCRIPT).write_text(_ROUTE, encoding="utf-8")
    _run([SYNTHESIS, "-mode", "batch", "-source", _SCRIPT], sources, log)
    return VendorReport(
        estimate, parse_utilisation(sources / _UTILISATION), parse_timing(sources / _TIMING)
    )


def parse_csynth(file: Path) -> HlsReport:
    """Of the XML report of Vivado HLS or Vitis HLS. Raises ``UserError`` for any other file."""
    try:
        root = ElementTree.fromstring(_text(file))
    except ElementTree.ParseError as error:
        raise UserError(f"{file}: is no XML, {error}; expected a report of C synthesis") from None

    def value(*paths: str) -> str:
        for path in paths:
            found = root.findtext(path)
            if found is not None and found.strip():
                return found.strip()
        raise UserError(f"{file}: has no {paths[0]}; expected a report of C synthesis")

    def number(*paths: str) -> float:
        text = value(*paths)
        try:
            return float(text)
        except ValueError:
            raise UserError(f"{file}: {paths[0]} is {text!r}; expected a number") from None

    cycles, area = "PerformanceEstimates/SummaryOfOverallLatency", "AreaEstimates/Resources"
    clock = "PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod"
    return HlsReport(
        tool=f"HLS {value('ReportVersion/Version')}",
        part=value("UserAssignments/Part"),
        latency=int(number(f"{cycles}/Worst-caseLatency")),
        interval=int(number(f"{cycles}/Interval-max", f"{cycles}/PipelineInitiationInterval")),
        target=number("UserAssignments/TargetClockPeriod"),
        period=number(clock),
        resources=Resources(
            lut=int(number(f"{area}/LUT")),
            lut_memory=0,  # it does not tell
            ff=int(number(f"{area}/FF")),
            dsp=int(number(f"{area}/DSP", f"{area}/DSP48E")),
            bram=number(f"{area}/BRAM_18K") / 2,
        ),
    )


def parse_utilisation(file: Path) -> Resources:
    """Of Vivado's ``report_utilization``. Raises ``UserError`` for any other file."""
    rows: dict[str, str] = {}
    for line in _text(file).splitlines():
        cells = [cell.strip().rstrip("*") for cell in line.strip().strip("|").split("|")]
        if line.lstrip().startswith("|") and len(cells) > 2:
            rows.setdefault(cells[0], cells[1])

    def used(*names: str) -> float:
        for name in names:
            if name in rows:
                return _number(file, name, rows[name])
        raise UserError(f"{file}: has no row {names[0]!r}; expected a report of utilisation")

    return Resources(
        lut=int(used("CLB LUTs", "Slice LUTs")),
        lut_memory=int(used("LUT as Memory")),
        ff=int(used("CLB Registers", "Slice Registers")),
        dsp=int(used("DSPs", "DSP Slices")),
        bram=used("Block RAM Tile"),
    )


def parse_timing(file: Path) -> Timing:
    """Of Vivado's ``report_timing_summary`` with one clock. Raises ``UserError`` for others."""
    text = _text(file)
    lines = text.splitlines()

    def below(head: str) -> list[str]:
        """The words two lines below a line that begins with ``head``: its values."""
        for place, line in enumerate(lines[:-2]):
            if re.match(rf"\s*{re.escape(head)}", line):
                return lines[place + 2].split()
        raise UserError(f"{file}: has no {head}; expected a summary of timing")

    slack = below("WNS(ns)")[:1]
    clock = re.search(r"\{[^}]*\}\s+(\S+)", " ".join(below("Clock  ")))
    if not slack or clock is None:
        raise UserError(f"{file}: has no clock with a slack; expected a summary of timing")
    tool = re.search(r"Tool Version\s*:\s*(Vivado v\.\S+)", text)
    return Timing(
        tool=tool[1] if tool else "Vivado",
        period=_number(file, "the clock's period", clock[1]),
        slack=_number(file, "WNS(ns)", slack[0]),
    )


def _number(file: Path, what: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{file}: {what} is {text!r}; expected a number") from None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}; expected a report") from None


def _run(command: Sequence[str], folder: Path, log: Path) -> None:
    with log.open("a", encoding="utf-8") as stream:
        done = subprocess.run(command, cwd=folder, stdout=stream, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise UserError(
            f"{command[0]}: exit code {done.returncode}; expected 0: all of it is in {log}"
        )
