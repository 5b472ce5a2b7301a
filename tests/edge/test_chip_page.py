"""The code on the page about chips runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

PAGE = Path(__file__).parents[2] / "docs" / "chip.md"


@pytest.mark.slow
def test_the_page_s_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    integers = names["found"].integers
    assert torch.equal(integers, names["again"].integers)
    step = names["model"].grids["d"].step
    assert torch.equal(integers.flatten(1) * step, names["logits"])
    # Of ten bits one needs nearly all pixels at an end: the second channel's largest sum is 8.6.
    assert names["same"].moved >= 0.9
    assert names["joints"].resources.lut == 0
