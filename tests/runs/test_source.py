"""What one file refers to, and that a file is parsed once."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from geocore.runs.source import Reference, read_source


def test_references_are_absolute_and_only_ours(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text("import numpy\nfrom ..so3 import rotation as r\nr.matrix.T\nfrom .y import *")
    assert read_source(path, "geocore.healpix.x").references == (
        Reference("geocore.so3.rotation"),
        Reference("geocore.healpix.y", star=True),
        Reference("geocore.so3.rotation.matrix.T"),
        Reference("geocore.so3.rotation.matrix"),
    )


def test_an_import_from_above_the_top_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text("from ... import y")
    assert read_source(path, "geocore.x").references == ()


def test_a_file_is_parsed_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.py"
    path.write_text("x = 1")
    parsed: list[str] = []
    real = ast.parse

    def counting(source: bytes, filename: str) -> ast.Module:
        parsed.append(filename)
        return real(source, filename=filename)

    monkeypatch.setattr("geocore.runs.source.ast.parse", counting)
    first = read_source(path, "geocore.x")
    assert read_source(path, "geocore.x") == first
    assert len(parsed) == 1
    path.write_text("x = 2")
    os.utime(path, ns=(1, 1))
    assert read_source(path, "geocore.x").digest != first.digest
    assert len(parsed) == 2
