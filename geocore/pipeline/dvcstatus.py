"""What ``dvc status`` says, asked in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from geocore.errors import UserError

__all__ = ["dvc_status"]


def dvc_status(root: Path, *files: str) -> dict[str, list[Any]]:
    """The changed stages of the ``dvc.yaml`` files named, from ``root``: stage -> what changed.

    A stage of the root's file goes by its name, one of another by ``studies/x/dvc.yaml:train``.
    What changed is a list of strings (``"changed command"``) and of mappings ``{"changed deps" or
    "changed outs": {path: state}}``, where a file of parameters has ``{leaf: state}``. Raises
    ``UserError`` with DVC's own line where it fails, and with what to install where it is not.
    """
    if importlib.util.find_spec("dvc") is None:
        raise UserError("dvc is not installed; expected it here: pip install 'geocore[pipeline]'")
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "status", "--json", *files],
        cwd=root,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line and "WARNING" not in line]
        # What is wrong stands in the line so marked, else in the first: a picture of it follows.
        marked = [line for line in lines if line.startswith("ERROR: ")]
        told = next(iter(marked or lines), "no message")
        raise UserError(f"dvc status: {told.removeprefix('ERROR: ').removesuffix('.')}")
    report: dict[str, list[Any]] = json.loads(done.stdout or "{}")
    return report
