"""Cityscapes' layout: cities in order, ids as the benchmark trains on them, faults named."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geocore.data.sources.cityscapes import Cityscapes
from geocore.data.table import IGNORED
from geocore.errors import UserError
from tests.data.sources.drives import save_cityscapes

GIVEN = os.environ.get("GEOCORE_DATA")

# Of the benchmark's own table (cityscapesScripts, labels.py): id, training id, name.
SOME = (
    (7, 0, "road"), (8, 1, "sidewalk"), (17, 5, "pole"), (19, 6, "traffic_light"),
    (23, 10, "sky"), (24, 11, "person"), (26, 13, "car"), (31, 16, "train"), (33, 18, "bicycle"),
)  # fmt: skip
UNTRAINED = (0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30)


def read(source: Cityscapes) -> dict[str, np.ndarray]:
    (piece,) = source.pieces(np.arange(len(source)), len(source))
    return piece


def test_frames_come_by_split_and_city(tmp_path: Path) -> None:
    made = save_cityscapes(tmp_path)
    source = Cityscapes(tmp_path)
    assert source.official == {"train": 3, "test": 1}, "the public val/ is what is reported"
    assert (source.shape, len(source.classes), source.camera) == ((12, 24, 3), 19, None)
    columns = read(source)
    stems = ["jena_000007_000019", "ulm_000000_000019", "ulm_000001_000019", "bonn_000000_000019"]
    for row, stem in enumerate(stems):
        image, label = made[stem]
        np.testing.assert_array_equal(columns["image"][row], image)
        found = columns["label"][row]
        for number, code, name in SOME:
            assert source.classes[code] == name
            np.testing.assert_array_equal(found == code, label == number)
        np.testing.assert_array_equal(found == IGNORED, np.isin(label, UNTRAINED))


def test_another_size(tmp_path: Path) -> None:
    save_cityscapes(tmp_path)
    whole, small = read(Cityscapes(tmp_path)), Cityscapes(tmp_path, (4, 8))
    assert small.shape == (4, 8, 3)
    columns = read(small)
    # Factors of three: the containing pixel is the middle one of nine.
    np.testing.assert_array_equal(columns["label"], whole["label"][:, 1::3, 1::3])
    blocks = whole["image"].reshape(4, 4, 3, 8, 3, 3).mean(axis=(2, 4))
    assert np.abs(columns["image"] - blocks).max() <= 0.5


def test_the_digest_is_that_of_the_content(tmp_path: Path) -> None:
    save_cityscapes(tmp_path / "here")
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    assert Cityscapes(tmp_path / "here").digest == Cityscapes(tmp_path / "there").digest
    label = tmp_path / "there/gtFine/val/bonn/bonn_000000_000019_gtFine_labelIds.png"
    Image.fromarray(np.zeros((12, 24), np.uint8)).save(label)
    assert Cityscapes(tmp_path / "here").digest != Cityscapes(tmp_path / "there").digest


IMAGE = "leftImg8bit/train/ulm/ulm_000000_000019_leftImg8bit.png"
LABEL = "gtFine/train/ulm/ulm_000000_000019_gtFine_labelIds.png"


def save(name: str, *shape: int, value: int = 0) -> Callable[[Path], object]:
    return lambda folder: Image.fromarray(np.full(shape, value, np.uint8)).save(folder / name)


def no_images(folder: Path) -> None:
    shutil.rmtree(folder / "leftImg8bit/val/bonn")


FAULTS: list[tuple[Callable[[Path], object], str]] = [
    (
        save(LABEL, 12, 24, value=34),
        f"{{0}}/{LABEL}: class 34 at row 0, column 0; expected a label's id, 0 to 33",
    ),
    (
        lambda folder: (folder / LABEL).unlink(),
        f"{{0}}/{LABEL}: missing; expected the labels of {{0}}/{IMAGE}",
    ),
    (
        no_images,
        "{0}/leftImg8bit/val: empty; expected images CITY/NAME_leftImg8bit.png",
    ),
    (
        save(IMAGE, 3, 4, 3),
        f"{{0}}/{IMAGE}: 4 x 3 pixels; expected 24 x 12 pixels as "
        "{0}/leftImg8bit/train/jena/jena_000007_000019_leftImg8bit.png, "
        "or data.height and data.width to reduce them all",
    ),
    (
        save(LABEL, 3, 4),
        f"{{0}}/{LABEL}: 4 x 3 pixels; expected 24 x 12 as ulm_000000_000019_leftImg8bit.png",
    ),
    (
        save(LABEL, 12, 24, 3),
        f"{{0}}/{LABEL}: mode is RGB; expected one 8-bit number a pixel",
    ),
    (
        lambda folder: shutil.rmtree(folder / "gtFine/val"),
        "{0}/gtFine/val: no such folder; expected leftImg8bit/ and gtFine/ with train/ and val/ "
        "as in https://www.cityscapes-dataset.com",
    ),
    (
        shutil.rmtree,
        "{0}: not a folder; expected leftImg8bit/ and gtFine/ with train/ and val/ "
        "as in https://www.cityscapes-dataset.com",
    ),
]


@pytest.mark.parametrize(("spoil", "line"), FAULTS, ids=[line[-30:] for _, line in FAULTS])
def test_a_fault_is_one_line(tmp_path: Path, spoil: Callable[[Path], object], line: str) -> None:
    folder = tmp_path / "cityscapes"
    save_cityscapes(folder)
    spoil(folder)
    with pytest.raises(UserError) as caught:
        read(Cityscapes(folder))
    assert caught.value.lines == (line.format(folder),)


@pytest.mark.skipif(
    GIVEN is None or not (Path(GIVEN) / "cityscapes").is_dir(),
    reason="no cityscapes/ in GEOCORE_DATA",
)
def test_the_real_one() -> None:
    source = Cityscapes(Path(GIVEN or "") / "cityscapes", (152, 240))
    assert source.official == {"train": 2975, "test": 500}
    (piece,) = source.pieces(np.arange(0, len(source), 300), len(source))
    heights = {name: (piece["label"] == source.classes.index(name)).nonzero()[1].mean()
               for name in ("sky", "road")}  # fmt: skip
    assert heights["sky"] < 60 < heights["road"]
