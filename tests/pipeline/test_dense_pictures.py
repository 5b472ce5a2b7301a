"""All pictures of an evaluation of pixels: which there are, and that they show something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.pipeline.dense import IMAGES, MAPS, evaluated, samples, write_project, write_table

CHARTS = {"confusion", "kept", "reliability"}


@pytest.mark.parametrize(
    ("kind", "task", "names"),
    [
        (MAPS, "segmentation", {"upright", "tilted", "iou", "equivariance"}),
        (IMAGES, "depth", {"samples", "clouds", "ranges"}),
    ],
)
def test_pictures_are_there(tmp_path: Path, kind: Any, task: str, names: set[str]) -> None:
    write_project(tmp_path, kind, task)
    if kind is IMAGES:
        write_table(tmp_path, IMAGES, {**samples(), "view": None})
    evaluated(tmp_path)
    folder = tmp_path / "results/evaluate/pictures"
    assert {path.stem for path in folder.iterdir()} == CHARTS | names
    for path in folder.iterdir():
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            assert min(picture.size) > 200
            assert len(picture.getcolors(2**20) or []) > 20, f"{path.name} shows something"
