"""What a firmware needs is missed before anything is trained."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from geocore.edge.tools import quiet_import, require_tools
from geocore.errors import UserError


def test_all_is_there() -> None:
    require_tools()


def test_a_missing_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "bash").symlink_to("/bin/true")
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
