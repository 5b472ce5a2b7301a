"""Reports of a vendor's tools, in their format, and tools that are not there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from geocore.edge.synthesis import Resources
from geocore.edge.vendor import (
    parse_csynth,
    parse_timing,
    parse_utilisation,
    run_vendor,
)
from geocore.edge.vendor_tools import missing_tools
from geocore.errors import UserError
from tests.edge.vendors import (
    CSYNTH,
    TIMING,
    UTILISATION,
    fake_vitis,
    fake_vivado,
    fake_vivado_hls,
    tool,
)


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

    fake_vitis(bin_folder, tmp_path)
    alone = run_vendor(sources, "Vitis", log)
    assert alone is not None and alone.estimate.latency == 1044 and alone.resources is None
    assert "csim 0" in (sources / "build_opt.tcl").read_text() and log.read_text() == "done\n"

    fake_vivado_hls(bin_folder, tmp_path)
    fake_vivado(bin_folder, tmp_path)
    found = run_vendor(sources, "Vivado", log)
    assert found is not None and found.timing is not None and found.resources is not None
    assert (found.resources.lut, found.timing.slack) == (118931, -0.25)

    tool(bin_folder, "vivado", "exit 3")
    with pytest.raises(UserError, match=r"^vivado: exit code 3; expected 0: all of it is in /"):
        run_vendor(sources, "Vivado", log)
