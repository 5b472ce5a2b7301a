"""DVC's own word on what changed, and where it has none."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path

import pytest

from geocore.errors import UserError
from geocore.pipeline.dvcstatus import dvc_status


def test_outside_of_a_dvc_repository_its_own_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^dvc status: you are not inside of a DVC repository"):
        dvc_status(tmp_path)


def test_without_dvc_the_line_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"expected it here: pip install 'geocore\[pipeline\]'$"):
        dvc_status(tmp_path)


@pytest.mark.parametrize(
    ("stderr", "told"),
    [
        (
            "WARNING: old\n'./dvc.lock' is invalid.\n\nWhile scanning\n 947 [\n",
            "'./dvc.lock' is in",
        ),
        ("some\nERROR: 'x/dvc.yaml' does not exist\n", "'x/dvc.yaml' does not exist"),
        ("", "no message"),
    ],
)
def test_of_a_long_message_the_line_that_says_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stderr: str, told: str
) -> None:
    done = subprocess.CompletedProcess([], 1, "", stderr)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    with pytest.raises(UserError) as caught:
        dvc_status(tmp_path)
    assert caught.value.lines[0].startswith(f"dvc status: {told}")
