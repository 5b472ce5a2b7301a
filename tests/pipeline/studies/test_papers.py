"""The fifteen are those of the design, in its order."""

from __future__ import annotations

import re
from pathlib import Path

from geocore.pipeline.studies.papers import PAPERS

ROOT = Path(__file__).parents[3]


def test_names_titles_and_numbers_are_the_designs() -> None:
    design = (ROOT / "docs/design.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.+) \((\d{4}\.\d{5})\) \|", design, re.MULTILINE)
    assert len(rows) == 15
    assert [(paper.name, paper.title, paper.arxiv) for paper in PAPERS] == rows
