"""Reports of a vendor's tools, in their format, and tools that are not there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from geocore.edge.synthesis import Resources
from geocore.edge.vendor import (
    missing_tools,
    parse_csynth,
    parse_timing,
    parse_utilisation,
    run_vendor,
)
from geocore.errors import UserError

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


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("dsp", ["DSP48E", "DSP"])  # Vivado HLS's word, Vitis HLS's
def test_an_estimate(tmp_path: Path, dsp: str) -> None:
    found = parse_csynth(written(tmp_path, "a.xml", CSYNTH.replace("DSP48E", dsp)))
    assert (found.latency, found.interval) == (1044, 1028)
    assert (found.target, found.period) == (5.0, 4.367)
    assert (found.tool, found.part) == ("HLS 2020.1", "xczu9eg-ffvb1156-2-e")
    assert found.resources == Resources(lut=204021, lut_memory=0, ff=81029, dsp=353, bram=33.5)


def test_utilisation(tmp_path: Path) -> None:
    wanted = Resources(lut=118931, lut_memory=3731, ff=30702, dsp=353, bram=33.5)
    assert parse_utilisation(written(tmp_path, "a.rpt", UTILISATION)) == wanted
    # The family before calls its tables otherwise; from 2021 on there is a column more.
    older = UTILISATION.replace("CLB LUTs", "Slice LUTs").replace("CLB Reg", "Slice Reg")
    newer = older.replace("|     0 |", "|     0 |          0 |")
    assert parse_utilisation(written(tmp_path, "b.rpt", newer)) == wanted


def test_timing(tmp_path: Path) -> None:
    found = parse_timing(written(tmp_path, "a.rpt", TIMING))
    assert (found.period, found.slack, found.tool) == (5.0, -0.25, "Vivado v.2020.1")
    assert found.clock == pytest.approx(190.476, abs=1e-3)  # 1000 / 5.25


def test_reports_that_are_none_are_told_in_a_line(tmp_path: Path) -> None:
    file = tmp_path / "a"
    with pytest.raises(UserError, match=r"a: No such file or directory; expected a report$"):
        parse_csynth(file)
    cases = (
        (parse_csynth, "nothing", r"a: is no XML, syntax error: line 1, column 0; expected a rep"),
        (parse_csynth, "<profile/>", r"a: has no ReportVersion/Version; expected a report of C"),
        (parse_csynth, CSYNTH.replace("1044", "undef"), r"Worst-caseLatency is 'undef'; expected"),
        (parse_utilisation, "| CLB LUTs | 1 | 2 |", r"a: has no row 'LUT as Memory'; expected a"),
        (parse_utilisation, UTILISATION.replace("118931", "n/a"), r"CLB LUTs is 'n/a'; expected"),
        (parse_timing, "nothing", r"a: has no WNS\(ns\); expected a summary of timing"),
        (parse_timing, TIMING.replace("-0.250", "NA"), r"a: WNS\(ns\) is 'NA'; expected a number"),
    )
    for parse, text, message in cases:
        file.write_text(text)
        with pytest.raises(UserError, match=message):
            parse(file)


def tool(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/bash\nset -e\n{script}\n")
    path.chmod(0o755)


def test_tools_run_as_far_as_they_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bin_folder, sources, log = tmp_path / "bin", tmp_path / "sources", tmp_path / "log"
    bin_folder.mkdir()
    sources.mkdir()
    for name in ("bash", "mkdir", "cp", "grep"):
        (bin_folder / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(bin_folder))
    assert missing_tools("Vitis") == ("vitis-run", "vivado")
    assert missing_tools("Vivado") == ("vivado_hls", "vivado")
    assert run_vendor(sources, "Vitis", log) is None

    for name, text in (("csynth", CSYNTH), ("util", UTILISATION), ("time", TIMING)):
        written(tmp_path, name, text)
    report = "student_prj/solution1/syn/report"
    compiles = f"mkdir -p {report}; cp {tmp_path}/csynth {report}/student_csynth.xml"
    tool(bin_folder, "vitis_hls", f'[ "$*" = "-f build_prj.tcl" ]; {compiles}; echo done')
    alone = run_vendor(sources, "Vitis", log)
    assert alone is not None and alone.estimate.latency == 1044 and alone.resources is None
    assert "csim 0" in (sources / "build_opt.tcl").read_text() and log.read_text() == "done\n"

    tool(bin_folder, "vivado_hls", f'[[ "$3" == *"csim=0 synth=1"* ]]; {compiles}')
    copies = f"cp {tmp_path}/util utilisation.rpt; cp {tmp_path}/time timing.rpt"
    tool(bin_folder, "vivado", f"grep -q route_design $4; {copies}")
    found = run_vendor(sources, "Vivado", log)
    assert found is not None and found.timing is not None and found.resources is not None
    assert (found.resources.lut, found.timing.slack) == (118931, -0.25)

    tool(bin_folder, "vivado", "exit 3")
    with pytest.raises(UserError, match=r"^vivado: exit code 3; expected 0: all of it is in /"):
        run_vendor(sources, "Vivado", log)
