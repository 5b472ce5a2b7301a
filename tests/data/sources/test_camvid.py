"""CamVid in SegNet's layout: official splits, void ignored, faults named."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geocore.data.sources.camvid import CamVid
from geocore.data.table import IGNORED
from geocore.errors import UserError
from tests.data.sources.drives import save_camvid

GIVEN = os.environ.get("GEOCORE_DATA")


def read(source: CamVid, size: int = 4) -> dict[str, np.ndarray]:
    """All samples, ``size`` at a time, joined."""
    pieces = list(source.pieces(np.arange(len(source)), size))
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def test_frames_come_split_by_split_with_void_ignored(tmp_path: Path) -> None:
    made = save_camvid(tmp_path)
    source = CamVid(tmp_path)
    assert source.official == {"train": 3, "val": 3, "test": 3}
    assert source.splits is not None and source.splits.tolist() == [0] * 3 + [1] * 3 + [2] * 3
    assert (source.shape, len(source.classes), source.camera) == ((12, 16, 3), 11, None)
    assert source.known(np.arange(9)) == {}
    columns = read(source)
    frames = [frame for split in ("train", "val", "test") for frame in made[split]]
    assert list(columns) == ["image", "label"]
    for row, (image, label) in enumerate(frames):
        np.testing.assert_array_equal(columns["image"][row], image)
        np.testing.assert_array_equal(columns["label"][row] == IGNORED, label == 11)
        np.testing.assert_array_equal(columns["label"][row][label < 11], label[label < 11])


def test_some_rows_and_another_size(tmp_path: Path) -> None:
    save_camvid(tmp_path)
    whole, some = read(CamVid(tmp_path)), CamVid(tmp_path, (6, 8))
    assert some.shape == (6, 8, 3)
    (piece,) = some.pieces(np.array([1, 7]), 10)
    assert piece["image"].shape == (2, 6, 8, 3)
    # Factors of two: the containing pixel is the lower right one of four.
    np.testing.assert_array_equal(piece["label"], whole["label"][[1, 7], 1::2, 1::2])
    blocks = whole["image"][[1, 7]].reshape(2, 6, 2, 8, 2, 3).mean(axis=(2, 4))
    assert np.abs(piece["image"] - blocks).max() <= 0.5


def test_the_digest_is_that_of_the_content(tmp_path: Path) -> None:
    save_camvid(tmp_path / "here")
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    assert CamVid(tmp_path / "here").digest == CamVid(tmp_path / "there").digest
    label = tmp_path / "there/valannot/001.png"
    Image.fromarray(np.zeros((12, 16), np.uint8)).save(label)
    assert CamVid(tmp_path / "here").digest != CamVid(tmp_path / "there").digest


def unknown_class(folder: Path) -> None:
    label = np.zeros((12, 16), np.uint8)
    label[5, 7] = 17
    Image.fromarray(label).save(folder / "testannot/002.png")


def emptied(place: str) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        for path in (folder / place).iterdir():
            path.unlink()

    return spoil


FAULTS: list[tuple[Callable[[Path], object], str]] = [
    (
        unknown_class,
        "{0}/testannot/002.png: class 17 at row 5, column 7; expected 0 to 10, or 11 for void",
    ),
    (
        lambda folder: (folder / "valannot/001.png").unlink(),
        "{0}/valannot/001.png: missing; expected the labels of {0}/val/001.png",
    ),
    (
        emptied("val"),
        "{0}/val: empty; expected images *.png",
    ),
    (
        lambda folder: Image.fromarray(np.zeros((3, 4, 3), np.uint8)).save(folder / "val/000.png"),
        "{0}/val/000.png: 4 x 3 pixels; expected 16 x 12 pixels as {0}/train/000.png, "
        "or data.height and data.width to reduce them all",
    ),
    (
        lambda folder: Image.fromarray(np.zeros((3, 4), np.uint8)).save(
            folder / "valannot/000.png"
        ),
        "{0}/valannot/000.png: 4 x 3 pixels; expected 16 x 12 as 000.png",
    ),
    (
        lambda folder: Image.fromarray(np.zeros((12, 16, 3), np.uint8)).save(
            folder / "trainannot/000.png"
        ),
        "{0}/trainannot/000.png: mode is RGB; expected one 8-bit number a pixel",
    ),
    (
        lambda folder: (folder / "trainannot/000.png").write_bytes(b"nothing"),
        "{0}/trainannot/000.png: broken image (its bytes are no image); "
        "expected one that can be read",
    ),
]


@pytest.mark.parametrize(("spoil", "line"), FAULTS, ids=[line[:30] for _, line in FAULTS])
def test_a_fault_is_one_line(tmp_path: Path, spoil: Callable[[Path], object], line: str) -> None:
    save_camvid(tmp_path)
    spoil(tmp_path)
    with pytest.raises(UserError) as caught:
        read(CamVid(tmp_path))
    assert caught.value.lines == (line.format(tmp_path),)


@pytest.mark.parametrize("lacking", ["", "test", "trainannot"])
def test_a_folder_that_is_not_there(tmp_path: Path, lacking: str) -> None:
    save_camvid(tmp_path / "camvid")
    shutil.rmtree(tmp_path / "camvid" / lacking)
    with pytest.raises(UserError, match=r"folder; expected train/, trainannot/, .*SegNet") as found:
        CamVid(tmp_path / "camvid")
    assert len(found.value.lines) == 1


@pytest.mark.skipif(
    GIVEN is None or not (Path(GIVEN) / "camvid").is_dir(), reason="no camvid/ in GEOCORE_DATA"
)
def test_the_real_one() -> None:
    source = CamVid(Path(GIVEN or "") / "camvid")
    assert source.official == {"train": 367, "val": 101, "test": 233}
    (piece,) = source.pieces(np.arange(0, len(source), 70), len(source))
    seen = set(np.unique(piece["label"]).tolist())
    assert {0, 1, 3, 4, IGNORED} <= seen <= {*range(11), IGNORED}
    # What the sky is, and that it is above the road.
    heights = {name: (piece["label"] == source.classes.index(name)).nonzero()[1].mean()
               for name in ("sky", "road")}  # fmt: skip
    assert heights["sky"] < 0.3 * piece["label"].shape[1] < heights["road"]
