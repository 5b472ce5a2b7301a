"""CIFAR-10: the authors' archive as it is laid out, and what is wrong with one that is not."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from geocore.data.sources import cifar10
from geocore.data.sources.cifar10 import CLASSES, Cifar10, open_cifar10
from geocore.errors import UserError

ARCHIVE = "cifar-10-binary.tar.gz"


def rows(file: int, count: int = 2) -> np.ndarray:
    """Label ``file``; red is 10 at the left column, green and blue are the row's number."""
    found = np.zeros((count, 3073), np.uint8)
    found[:, 0] = file
    planes = found[:, 1:].reshape(count, 3, 32, 32)
    planes[:, 0, :, 0] = 10
    planes[:, 1] = planes[:, 2] = np.arange(count)[:, None, None]
    return found


def write(path: Path, names: tuple[str, ...] = cifar10._FILES, cut: int = 0) -> str:
    """An archive of small files; its md5."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for number, name in enumerate(names):
            data = rows(number).tobytes()
            data = data[: len(data) - cut]
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_images_labels_and_splits(tmp_path: Path) -> None:
    archive = tmp_path / ARCHIVE
    source = Cifar10(archive, write(archive))
    assert source.classes == CLASSES and source.shape == (32, 32, 3) and len(source) == 12
    assert source.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert source.official == {"train": 10, "test": 2}
    (images,) = source.images(np.array([1, 10]), 5)
    assert images.shape == (2, 32, 32, 3)
    assert (images[:, :, 0, 0] == 10).all() and not images[:, :, 1:, 0].any()
    assert (images[0, ..., 1:] == 1).all() and not images[1, ..., 1:].any()


def test_altered_and_incomplete_archives_are_refused(tmp_path: Path) -> None:
    archive = tmp_path / ARCHIVE
    md5 = write(archive)
    with pytest.raises(UserError, match=rf"its md5 is {md5}; expected c32a1d4ab5d03f1284b67883e8d"):
        Cifar10(archive)
    write(archive, cifar10._FILES[:-1])
    with pytest.raises(UserError, match=r"no test_batch\.bin; expected 6 files$"):
        Cifar10(archive, None)
    write(archive, cut=1)
    with pytest.raises(UserError, match=r"data_batch_1\.bin has 6145 bytes; expected a multiple"):
        Cifar10(archive, None)
    archive.write_bytes(b"no archive")
    with pytest.raises(UserError, match=r"expected the archive of CIFAR-10$"):
        Cifar10(archive, None)


def test_what_lies_at_hand_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10, "download", lambda *args, **kwargs: ["no network"])
    with pytest.raises(UserError, match=r"GEOCORE_DATA is not set, and no download \(no network\)"):
        open_cifar10(tmp_path / "downloads", None)
    md5 = write(tmp_path / "home/cifar10" / ARCHIVE)
    monkeypatch.setattr(cifar10.Cifar10.__init__, "__defaults__", (md5,))
    assert len(open_cifar10(tmp_path / "downloads", tmp_path / "home")) == 12
