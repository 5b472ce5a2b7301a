"""The tutorial does what it says: its lines are run as they stand, in a clone of the project."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.flows.project import ROOT, copy_project

PAGE = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")


def blocks() -> list[tuple[str, str]]:
    """The page's blocks of Python and of commands, in order."""
    found = re.findall(r"^```(python|console)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return [(kind, text) for kind, text in found]


def test_the_page_from_images_to_a_comparison(
    server: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:

    project = copy_project(tmp_path_factory.mktemp("tutorial") / "geocore", server)
    said = []
    for kind, text in blocks():
        commands = [text] if kind == "python" else re.findall(r"^\$ (.*)$", text, re.MULTILINE)
        assert commands, text
        for command in commands:
            line = [sys.executable, "-c", command] if kind == "python" else ["bash", "-c", command]
            done = subprocess.run(
                line, cwd=project.root, env=project.environment, capture_output=True, text=True,
                timeout=400,
            )  # fmt: skip
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            said.append(done.stdout)
    card = next(text for text in said if text.startswith("# heal"))
    for predictor in ("network", "ensemble", "NNGP", "NTK"):
        assert re.search(rf"^\| {predictor}: .* \| 0?\.?\d", card, re.MULTILINE), card
    page = (project.root / "shells.html").read_text(encoding="utf-8")
    for word in ("model.name", "heal_swin", "healpix_encoder", "evaluate.test.accuracy"):
        assert word in page
