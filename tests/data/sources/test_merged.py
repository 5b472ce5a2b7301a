"""Classes merged into background, road, car and person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geocore.data.scenes.classes import CLASSES
from geocore.data.sources.camvid import CamVid
from geocore.data.sources.cityscapes import Cityscapes
from geocore.data.sources.dense import DenseSource
from geocore.data.sources.merged import Merged
from geocore.data.sources.scenes import Scenes
from geocore.data.sources.woodscape import WoodScape
from geocore.data.table import IGNORED
from geocore.errors import UserError
from tests.data.sources.drives import save_camvid, save_cityscapes, save_woodscape

# What each source calls them; all else is background.
NAMES = {
    "camvid": {"road": ["road"], "car": ["car"], "person": ["pedestrian"]},
    "cityscapes": {"road": ["road"], "car": ["car"], "person": ["person"]},
    "scenes": {"road": ["road", "lane_mark"], "car": ["car"], "person": ["pedestrian"]},
    "woodscape": {"road": ["road", "lanes"], "car": ["vehicles"], "person": ["person"]},
}


def opened(name: str, folder: Path) -> DenseSource:
    if name == "scenes":
        return Scenes((2, 1, 1), (24, 32), 1.0, 30.0, 0)
    if name == "woodscape":
        save_woodscape(folder)
        return WoodScape(folder, "FV")
    if name == "camvid":
        save_camvid(folder)
        return CamVid(folder)
    save_cityscapes(folder)
    return Cityscapes(folder)


@pytest.mark.parametrize("name", NAMES)
def test_labels_are_merged_and_all_else_is_kept(name: str, tmp_path: Path) -> None:
    source = opened(name, tmp_path)
    merged = Merged(source)
    assert merged.classes == ("background", "road", "car", "person")
    assert merged.strata.tolist() == source.strata.tolist() and merged.official == source.official
    assert (merged.name, merged.shape, merged.camera, merged.views) == (
        source.name, source.shape, source.camera, source.views,
    )  # fmt: skip
    rows = np.arange(len(source))
    for key, column in source.known(rows).items():
        np.testing.assert_array_equal(merged.known(rows)[key], column)
    (before,), (after,) = source.pieces(rows, len(rows)), merged.pieces(rows, len(rows))
    assert list(before) == list(after)
    for key in before.keys() - {"label"}:
        np.testing.assert_array_equal(after[key], before[key])
    expected = np.zeros_like(before["label"])
    expected[before["label"] == IGNORED] = IGNORED
    for code, members in enumerate(NAMES[name].values(), start=1):
        for member in members:
            expected[before["label"] == source.classes.index(member)] = code
    np.testing.assert_array_equal(after["label"], expected)
    assert {0, 1} < set(np.unique(after["label"]).tolist())
    assert merged.digest != source.digest


def test_groups_of_ones_own(tmp_path: Path) -> None:
    source = opened("scenes", tmp_path)
    merged = Merged(source, {"green": ["tree"]})
    (before,), (after,) = source.pieces(np.arange(2), 2), merged.pieces(np.arange(2), 2)
    assert merged.classes == ("background", "green")
    np.testing.assert_array_equal(after["label"] == 1, before["label"] == CLASSES.index("tree"))
    assert merged.digest != Merged(source).digest


def test_a_source_without_such_a_class(tmp_path: Path) -> None:
    save_woodscape(tmp_path, classes=tuple("abcdefghij"))
    with pytest.raises(UserError) as caught:
        Merged(WoodScape(tmp_path, "FV"))
    assert caught.value.lines == (
        "woodscape: no class of a, b, c, d, e, f, g, h, i, j is road; "
        "expected one of road, lane_mark, lanes, road line to merge",
    )
