"""The pictures show one map of each class, where it lies and the right way round."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geocore.data.table import Table
from geocore.pipeline import project, resample, sphere_pictures
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


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("rotation", ["none", "z"])
def test_upper_left_stays_upper_left(tmp_path: Path, rotation: str, dtype: str) -> None:
    write_raw(tmp_path / "data/raw", corner_images(7))
    run_stage(project.STAGE, tmp_path, rotation=rotation)
    run_stage(resample.STAGE, tmp_path, nside=16, dtype=dtype)
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
