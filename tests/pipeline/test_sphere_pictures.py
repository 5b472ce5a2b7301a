"""The pictures show one map of each class, where it lies and the right way round."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geocore.data.table import IGNORED, Table
from geocore.pipeline import project, resample, sphere_pictures
from geocore.pipeline.palette import class_colours
from tests.pipeline.stages import run_stage, write_raw

image = pytest.importorskip("PIL.Image")

DISC, WIDTH = 80, 120


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sphere_pictures, "_DISC_SIZE", DISC)
    monkeypatch.setattr(sphere_pictures, "_MOLLWEIDE_WIDTH", WIDTH)


def corner_images(rows: int) -> np.ndarray:
    """Bright in the upper left quarter, dark elsewhere."""
    images = np.zeros((rows, 8, 8, 1), np.uint8)
    images[:, :4, :4] = 255
    return images


HEALPIX = {"nside": 16}
EQUIANGULAR = {
    "grid": "driscoll-healy", "nside": None, "ordering": None, "faces": None, "bandlimit": 20,
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("grid", [HEALPIX, EQUIANGULAR], ids=["healpix", "driscoll-healy"])
@pytest.mark.parametrize("rotation", ["none", "z"])
def test_upper_left_stays_upper_left(
    tmp_path: Path, rotation: str, grid: dict[str, Any], dtype: str
) -> None:
    write_raw(tmp_path / "data/raw", corner_images(7))
    run_stage(project.STAGE, tmp_path, rotation=rotation)
    run_stage(resample.STAGE, tmp_path, **grid, dtype=dtype)
    with image.open(tmp_path / "results/resample/orthographic.png") as opened:
        sheet = np.asarray(opened).astype(int)
    # Three classes in a row of discs; in each the light end of the colour map, a yellow.
    rows, columns = np.nonzero(sheet[..., 0] - sheet[..., 2] > 40)
    gap = (sheet.shape[1] - 3 * DISC) // 4
    for number in range(3):
        left = gap + number * (DISC + gap)
        own = (columns >= left) & (columns < left + DISC)
        assert own.sum() > DISC**2 / 20
        assert columns[own].max() < left + DISC * 0.55
        assert rows[own].max() < sheet.shape[0] - gap - DISC * 0.45


def test_at_most_ten_classes_else_the_first_samples(tmp_path: Path) -> None:
    write_raw(tmp_path / "data/raw", corner_images(30), label_kind="none")
    run_stage(project.STAGE, tmp_path)
    run_stage(resample.STAGE, tmp_path)
    table = Table.open(tmp_path / "data/healpix")
    assert sphere_pictures._rows(table).tolist() == list(range(10))
    with image.open(tmp_path / "results/resample/mollweide.png") as opened:
        assert opened.size[0] > 5 * WIDTH and opened.size[1] > 2 * WIDTH / 2


def dense_raw(root: Path, rows: int) -> None:
    """Upper left quarter of class 1 at 2 m, the rest of class 0 at 50 m, one corner ignored."""
    label = np.zeros((rows, 8, 8), np.uint8)
    depth = np.full((rows, 8, 8), 50.0, np.float32)
    label[:, :4, :4], depth[:, :4, :4] = 1, 2.0
    label[:, 4:, 4:], depth[:, 4:, 4:] = IGNORED, 0.0
    images = np.repeat(corner_images(rows), 3, axis=3)
    write_raw(root / "data/raw", images, label_kind="mask", label=label, depth=depth)


def test_labels_and_depth_stand_below_their_images(tmp_path: Path) -> None:
    dense_raw(tmp_path, 7)
    run_stage(project.STAGE, tmp_path)
    run_stage(resample.STAGE, tmp_path, nside=16)
    table = Table.open(tmp_path / "data/healpix")
    assert sphere_pictures._rows(table).tolist() == [0, 1, 2, 3, 4]
    with image.open(tmp_path / "results/resample/orthographic.png") as opened:
        sheet = np.asarray(opened).astype(int)
    text = max(12, DISC // 22)
    gap, band = text // 2, text * 2
    assert sheet.shape[:2] == (3 * (DISC + band) + gap, 5 * (DISC + gap) + gap)
    # The quarters' centres, away from the meridians: of the image, its labels and its depth.
    middle, off = DISC // 2, DISC // 8

    def pixel(row: int, down: int, right: int) -> np.ndarray:
        top = band + row * (DISC + band)
        return np.asarray(sheet[top + middle + down * off, gap + middle + right * off])

    assert (pixel(0, -1, -1) > 200).all() and (pixel(0, 1, -1) < 80).all()
    one, nought = (255 * class_colours(table.info.classes or ("0", "1"))).numpy()[::-1]
    light = 0.25 * 255  # a line of the grid may pass there
    assert np.abs(pixel(1, -1, -1) - one).max() <= light
    assert np.abs(pixel(1, 1, -1) - nought).max() <= light
    for row in (1, 2):
        ignored = pixel(row, 1, 1)
        assert np.ptp(ignored) < 30 and ignored.min() > 150, "grey: neither class nor depth"
    near, far = pixel(2, -1, -1), pixel(2, 1, -1)
    assert near.sum() < 250 < far.sum(), "near is dark, far is light"


def test_dense_samples_are_of_every_split_and_view(tmp_path: Path) -> None:
    dense_raw(tmp_path, 30)
    run_stage(project.STAGE, tmp_path)
    run_stage(resample.STAGE, tmp_path)
    table = Table.open(tmp_path / "data/healpix")
    rows = sphere_pictures._rows(table)
    assert len(rows) == 5 and set(table.column("split")[rows]) == {0, 1, 2}
    assert sphere_pictures._captions(table, rows) == [f"sample {row}" for row in rows]
