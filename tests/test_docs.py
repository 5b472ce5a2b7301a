"""The pages tell the truth about keys, commands and files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from geocore.config.load import leaves, read_yaml

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])


def test_every_parameter_is_explained_and_no_other() -> None:
    page = (ROOT / "docs/parameters.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| (`[a-z]+\.[^|]+`) \|", page, re.MULTILINE)
    explained = {key for cell in cells for key in re.findall(r"`([a-z]+\.[a-z_]+)`", cell)}
    files = [ROOT / "params.yaml", *(ROOT / "studies").rglob("params.yaml")]
    assert explained == {leaf for file in files for leaf in leaves(read_yaml(file))}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_linked_files_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links {target}"


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in PAGES:
        for target in re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8")):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page.name}: make {target}"
