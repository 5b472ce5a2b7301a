"""The pages tell the truth about keys, commands and files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

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


@pytest.mark.parametrize("page", ["README.md", "docs/ensembles.md", "docs/kernels.md"])
def test_code_on_the_pages_runs(page: str) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.M | re.S)
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
    assert len(blocks) >= 2
    if page == "docs/kernels.md":
        mean = names["mean"]
        assert isinstance(mean, torch.Tensor) and mean.shape == (3, 5, 2)
    if page == "docs/ensembles.md":
        members, logits = names["members"], names["logits"]
        assert isinstance(members, list) and len(members) == 64
        assert isinstance(logits, torch.Tensor) and logits.shape == (8, 10)
