"""A vendor's reports in their format, and tools that do nothing but leave them."""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "CSYNTH",
    "TIMING",
    "UTILISATION",
    "fake_vitis",
    "fake_vivado",
    "fake_vivado_hls",
    "tool",
]

CSYNTH = """<?xml version="1.0"?>
<profile>
<ReportVersion><Version>2020.1</Version></ReportVersion>
<UserAssignments>
 <unit>ns</unit><ProductFamily>zynquplus</ProductFamily><Part>xczu9eg-ffvb1156-2-e</Part>
 <TopModelName>student</TopModelName><TargetClockPeriod>5.00</TargetClockPeriod>
 <ClockUncertainty>0.63</ClockUncertainty>
</UserAssignments>
<PerformanceEstimates>
 <PipelineType>dataflow</PipelineType>
 <SummaryOfTimingAnalysis><unit>ns</unit><EstimatedClockPeriod>4.367</EstimatedClockPeriod>
 </SummaryOfTimingAnalysis>
 <SummaryOfOverallLatency><unit>clock cycles</unit><Best-caseLatency>1035</Best-caseLatency>
  <Average-caseLatency>1039</Average-caseLatency><Worst-caseLatency>1044</Worst-caseLatency>
  <Interval-min>1028</Interval-min><Interval-max>1028</Interval-max>
 </SummaryOfOverallLatency>
</PerformanceEstimates>
<AreaEstimates>
 <Resources><BRAM_18K>67</BRAM_18K><DSP48E>353</DSP48E><FF>81029</FF><LUT>204021</LUT>
 <URAM>0</URAM></Resources>
 <AvailableResources><BRAM_18K>1824</BRAM_18K><DSP48E>2520</DSP48E><FF>548160</FF>
 <LUT>274080</LUT><URAM>0</URAM></AvailableResources>
</AreaEstimates>
</profile>
"""
UTILISATION = """\
Copyright 1986-2020 Xilinx, Inc. All Rights Reserved.
| Tool Version : Vivado v.2020.1 (lin64) Build 2902540
| Design       : student

1. CLB Logic
------------

+----------------------------+--------+-------+-----------+-------+
|          Site Type         |  Used  | Fixed | Available | Util% |
+----------------------------+--------+-------+-----------+-------+
| CLB LUTs*                  | 118931 |     0 |    274080 | 43.39 |
|   LUT as Logic             | 115200 |     0 |    274080 | 42.03 |
|   LUT as Memory            |   3731 |     0 |    144000 |  2.59 |
|     LUT as Shift Register  |   3731 |     0 |           |       |
| CLB Registers              |  30702 |     0 |    548160 |  5.60 |
| CARRY8                     |   9911 |     0 |     34260 | 28.93 |
+----------------------------+--------+-------+-----------+-------+
* Warning! The Final LUT count, after physical optimizations, is typically lower.

| Block RAM Tile    |  33.5 |     0 |       912 |  3.67 |
|   RAMB36/FIFO*    |    33 |     0 |       912 |  3.62 |
|   RAMB18          |     1 |     0 |      1824 |  0.05 |
| DSPs           |  353 |     0 |      2520 | 14.01 |
"""
TIMING = """\
| Tool Version      : Vivado v.2020.1 (lin64) Build 2902540
------------------------------------------------------------------------------------------------
| Design Timing Summary
| ---------------------
------------------------------------------------------------------------------------------------

    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)
    -------      -------  ---------------------  -------------------      -------      -------
     -0.250       -1.125                      9                60512        0.011        0.000


------------------------------------------------------------------------------------------------
| Clock Summary
| -------------
------------------------------------------------------------------------------------------------

Clock   Waveform(ns)       Period(ns)      Frequency(MHz)
-----   ------------       ----------      --------------
ap_clk  {0.000 2.500}      5.000           200.000
"""
_REPORT = "student_prj/solution1/syn/report"


def tool(folder: Path, name: str, script: str) -> None:
    """A program of that name in ``folder``."""
    path = folder / name
    path.write_text(f"#!/bin/bash\nset -e\n{script}\n")
    path.chmod(0o755)


def fake_vitis(folder: Path, texts: Path) -> None:
    """``vitis_hls``, whose report is a file in ``texts``."""
    tool(folder, "vitis_hls", f'[ "$*" = "-f build_prj.tcl" ]; {_compiles(texts)}; echo done')


def fake_vivado_hls(folder: Path, texts: Path) -> None:
    """The compiler before it."""
    tool(folder, "vivado_hls", f'[[ "$3" == *"csim=0 synth=1"* ]]; {_compiles(texts)}')


def fake_vivado(folder: Path, texts: Path) -> None:
    """``vivado``, with the reports behind placing and routing."""
    (texts / "util").write_text(UTILISATION, encoding="utf-8")
    (texts / "time").write_text(TIMING, encoding="utf-8")
    copies = f"cp {texts}/util utilisation.rpt; cp {texts}/time timing.rpt"
    tool(folder, "vivado", f"grep -q route_design $4; {copies}")


def _compiles(texts: Path) -> str:
    (texts / "csynth").write_text(CSYNTH, encoding="utf-8")
    return f"mkdir -p {_REPORT}; cp {texts}/csynth {_REPORT}/student_csynth.xml"
