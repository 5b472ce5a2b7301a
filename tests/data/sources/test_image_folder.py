"""Folders of images: classes from names, splits from the level above, faults by file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geocore.data.sources.image_folder import ImageFolder
from geocore.errors import UserError


def save(path: Path, seed: int = 0, shape: tuple[int, ...] = (4, 6)) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def every(source: ImageFolder) -> np.ndarray:
    return np.concatenate(list(source.images(np.arange(len(source)), 2)))


def refused(folder: Path, side: int | None = None) -> str:
    with pytest.raises(UserError) as caught:
        every(ImageFolder(folder, side))
    assert len(caught.value.lines) == 1
    return str(caught.value)


def test_classes_are_the_folders_in_order(tmp_path: Path) -> None:
    pixels = [
        save(tmp_path / name, seed)
        for seed, name in enumerate(
            ("cat/b.png", "ant/deep/er/z.PNG", "cat/a.bmp", "ant/a.png", "bee/1.pgm")
        )
    ]
    (tmp_path / "cat" / "notes.txt").write_text("not an image")
    (tmp_path / "cat" / ".hidden.png").write_text("not an image")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "README.md").write_text("these are animals")
    source = ImageFolder(tmp_path)
    assert source.classes == ("ant", "bee", "cat")
    assert source.labels.tolist() == [0, 0, 1, 2, 2]
    assert source.splits is None
    assert source.official == {}
    assert source.shape == (4, 6, 1)
    assert np.array_equal(every(source)[..., 0], np.stack([pixels[i] for i in (3, 1, 4, 2, 0)]))
    assert np.array_equal(
        next(source.images(np.array([1, 4]), 5))[..., 0], np.stack([pixels[1], pixels[0]])
    )


def test_numbers_are_ordered_by_value(tmp_path: Path) -> None:
    for name in ("10", "9", "2"):
        save(tmp_path / name / "a.png")
    assert ImageFolder(tmp_path).classes == ("2", "9", "10")


@pytest.mark.parametrize("val", ["val", "valid", "validation"])
def test_a_level_of_splits(tmp_path: Path, val: str) -> None:
    for name in (
        "train/a/1.png",
        "train/b/1.png",
        "test/b/1.png",
        f"{val}/a/1.png",
        "train/a/2.png",
    ):
        save(tmp_path / name)
    source = ImageFolder(tmp_path)
    assert source.classes == ("a", "b")
    assert source.official == {"train": 3, "val": 1, "test": 1}
    assert source.splits is not None
    assert source.splits.tolist() == [0, 0, 0, 1, 2]
    assert source.labels.tolist() == [0, 0, 1, 0, 1]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name in ("train/1.png", "car/1.png"):
        save(tmp_path / name)
    source = ImageFolder(tmp_path)
    assert (source.classes, source.splits) == (("car", "train"), None)


def test_one_colour_image_makes_them_all_colour(tmp_path: Path) -> None:
    grey = save(tmp_path / "a" / "1.png")
    colour = save(tmp_path / "b" / "2.png", 1, (4, 6, 3))
    images = every(ImageFolder(tmp_path))
    assert np.array_equal(images[0], np.repeat(grey[..., np.newaxis], 3, axis=2))
    assert np.array_equal(images[1], colour)


def test_the_digest_is_that_of_names_and_content(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        save(tmp_path / folder / "a" / "1.png")
        save(tmp_path / folder / "b" / "1.png", 1)
    digest = ImageFolder(tmp_path / "one").digest
    assert ImageFolder(tmp_path / "two").digest == digest
    save(tmp_path / "two" / "b" / "1.png", 2)
    assert ImageFolder(tmp_path / "two").digest != digest
    save(tmp_path / "two" / "b" / "1.png", 1)
    assert ImageFolder(tmp_path / "two").digest == digest
    (tmp_path / "two" / "b").rename(tmp_path / "two" / "c")
    assert ImageFolder(tmp_path / "two").digest != digest


def test_different_sizes_name_the_file(tmp_path: Path) -> None:
    save(tmp_path / "a" / "1.png")
    save(tmp_path / "a" / "2.png", 0, (7, 6))
    assert refused(tmp_path) == (
        f"{tmp_path}/a/2.png: 6 x 7 pixels; expected 6 x 4 pixels as {tmp_path}/a/1.png, "
        "or data.image_size to resize them all"
    )
    source = ImageFolder(tmp_path, 3)
    assert source.shape == (3, 3, 1)
    assert every(source).shape == (2, 3, 3, 1)


@pytest.mark.parametrize("side", [None, 5])
def test_one_broken_image(tmp_path: Path, side: int | None) -> None:
    for name in ("a/1.png", "a/2.png", "b/1.png"):
        save(tmp_path / name)
    broken = tmp_path / "a" / "2.png"
    broken.write_bytes(b"this is no image")
    line = "broken image (its bytes are no image); expected one that can be read"
    assert refused(tmp_path, side) == f"{broken}: {line}"
    save(broken, 0, (64, 64))  # its header is whole, its pixels are not
    broken.write_bytes(broken.read_bytes()[:200])
    for other in (tmp_path / "a" / "1.png", tmp_path / "b" / "1.png"):
        save(other, 0, (64, 64))
    assert refused(tmp_path, side).startswith(f"{broken}: broken image (")


def test_folders_that_hold_no_labelled_images(tmp_path: Path) -> None:
    line = "no images; expected class folders with images"
    assert refused(tmp_path) == f"{tmp_path}: {line}"
    file = tmp_path / "file"
    file.write_text("")
    assert refused(file) == f"{file}: not a folder; expected class folders with images"
    save(tmp_path / "a" / "1.png")
    (tmp_path / "b").mkdir()
    expected = "a class folder without images; expected at least one"
    assert refused(tmp_path) == f"{tmp_path}/b: {expected}"
    (tmp_path / "b").rmdir()
    save(tmp_path / "stray.png")
    assert refused(tmp_path) == (
        f"{tmp_path}/stray.png: lies in no class folder; expected {tmp_path}/CLASS/stray.png"
    )
