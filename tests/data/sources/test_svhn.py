"""SVHN: the authors' files as they are laid out, and what is wrong with one that is not."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geocore.data.sources import svhn
from geocore.data.sources.svhn import MD5, Svhn, open_svhn
from geocore.errors import UserError

io = pytest.importorskip("scipy.io")

GIVEN = os.environ.get("GEOCORE_DATA")


def pixels(count: int, first: int) -> np.ndarray:
    """``(count, 32, 32, 3)``: the row in red, the column in green, the image's number in blue."""
    found = np.zeros((count, 32, 32, 3), np.uint8)
    found[..., 0] = np.arange(32)[:, None]
    found[..., 1] = 100 + np.arange(32)
    found[..., 2] = first + np.arange(count)[:, None, None]
    return found


def save(path: Path, count: int, first: int = 0, **changes: Any) -> Path:
    """A file with the digits 1, 2, ..., 9, 0, 1, ... in the authors' numbering, 10 for 0."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digits = (np.arange(count) % 10 + 1).astype(np.uint8)[:, None]
    held = {"X": pixels(count, first).transpose(1, 2, 3, 0), "y": digits} | changes
    io.savemat(path, {name: value for name, value in held.items() if value is not None},
               do_compression=True)  # fmt: skip
    return path


def saved(folder: Path) -> list[Path]:
    train = save(folder / "train_32x32.mat", 12)
    return [train, save(folder / "test_32x32.mat", 3, 50)]


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_images_labels_and_splits(tmp_path: Path) -> None:
    source = Svhn(saved(tmp_path), None)
    assert (source.shape, len(source), source.classes) == ((32, 32, 3), 15, tuple("0123456789"))
    assert source.labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 1, 2, 3], "10 is a 0"
    assert source.official == {"train": 12, "test": 3}
    # Rows down and columns across, as the file has them, whatever the pieces.
    images = np.concatenate(list(source.images(np.array([0, 3, 11, 12, 14]), 2)))
    expected = np.concatenate([pixels(12, 0)[[0, 3, 11]], pixels(3, 50)[[0, 2]]])
    np.testing.assert_array_equal(images, expected)


def test_the_extra_images_are_for_training(tmp_path: Path) -> None:
    train, test = saved(tmp_path)
    extra = save(tmp_path / "extra_32x32.mat", 5, 30)
    source = Svhn([train, extra, test], None)
    assert source.official == {"train": 17, "test": 3}
    (images,) = source.images(np.array([12, 17]), 5)
    np.testing.assert_array_equal(images[:, 0, 0, 2], [30, 50])
    assert source.digest != Svhn([train, test], None).digest


def test_an_altered_file_is_refused(tmp_path: Path) -> None:
    files = saved(tmp_path)
    sums = {path.name: md5(path) for path in files}
    assert Svhn(files, sums).digest == Svhn(files, None).digest
    with pytest.raises(UserError) as caught:
        Svhn(files)
    name = "train_32x32.mat"
    assert caught.value.lines == (
        f"{tmp_path / name}: its md5 is {sums[name]}; expected {MD5[name]}",
    )


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def version_7_3(path: Path) -> None:
    """A header like that of MATLAB's files in HDF5."""
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(400))


def a_pickle(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", b"\x80\x04cos\nabort\n(tR.")


DIGITS_OF_9 = np.arange(9, dtype=np.uint8)[:, None]
FAULTS: list[tuple[Callable[[Path], object], str]] = [
    (cut, r"broken \(.*\); expected a MATLAB 5 file"),
    (version_7_3, r"broken \(.*\); expected a MATLAB 5 file"),
    (a_pickle, r"broken \(.*\); expected a MATLAB 5 file"),
    (lambda path: path.write_bytes(b""), r"broken \(.*\); expected a MATLAB 5 file"),
    (lambda path: save(path, 9, X=None), r"holds no X; expected X \(32, 32, 3, n\) of uint8"),
    (lambda path: save(path, 9, y=None), r"holds no y; expected y \(n, 1\) of digits"),
    (
        lambda path: save(path, 9, X=pixels(9, 0)),
        r"X is \(9, 32, 32, 3\) of uint8; expected \(32, 32, 3, n\) of uint8",
    ),
    (
        lambda path: save(path, 9, X=np.zeros((32, 32, 3, 9))),
        r"X is \(32, 32, 3, 9\) of float64; expected \(32, 32, 3, n\) of uint8",
    ),
    (
        lambda path: save(path, 9, y=DIGITS_OF_9[:8] + 1),
        r"y is \(8, 1\) of uint8; expected \(9, 1\), a digit for each image of X",
    ),
    (
        lambda path: save(path, 9, y=np.array([["a"]] * 9)),
        r"y is \(9, 1\) of <U1; expected \(9, 1\), a digit for each image of X",
    ),
    (lambda path: save(path, 9, y=DIGITS_OF_9), r"label 0 is 0; expected 1 to 9, or 10 for 0"),
    (
        lambda path: save(path, 9, y=DIGITS_OF_9 + 1.5),
        r"label 0 is 1\.5; expected 1 to 9, or 10 for 0",
    ),
]


@pytest.mark.parametrize(("spoil", "line"), FAULTS, ids=[line[:22] for _, line in FAULTS])
def test_a_fault_is_one_line(tmp_path: Path, spoil: Callable[[Path], object], line: str) -> None:
    files = saved(tmp_path)
    spoil(files[0])
    with pytest.raises(UserError, match=rf"^{files[0]}: {line}$") as caught:
        Svhn(files, None)
    assert len(caught.value.lines) == 1


def test_what_lies_at_hand_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(svhn, "download", lambda *args, **kwargs: ["no network"])
    downloads, home = tmp_path / "downloads", tmp_path / "home"
    with pytest.raises(UserError) as caught:
        open_svhn(downloads, None)
    assert caught.value.lines == (
        f"svhn: no train_32x32.mat in {downloads}/svhn, GEOCORE_DATA is not set, and no download "
        "(no network); expected the file there: set GEOCORE_DATA to the folder that holds svhn/",
    )
    sums = {path.name: md5(path) for path in saved(home / "svhn")}
    monkeypatch.setattr(svhn.Svhn.__init__, "__defaults__", (sums,))
    assert len(open_svhn(downloads, home)) == 15
    with pytest.raises(UserError, match=rf"no extra_32x32.mat in {home}/svhn nor {downloads}/svhn"):
        open_svhn(downloads, home, extra=True)
    extra = save(downloads / "svhn/extra_32x32.mat", 4)
    sums[extra.name] = md5(extra)
    assert len(open_svhn(downloads, home, extra=True)) == 19


def test_a_download_is_compared_with_its_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def other(addresses: list[str], target: Path, **how: Any) -> list[str]:
        asked.extend(addresses)
        target.parent.mkdir(parents=True)
        partial = target.with_name("partial")
        partial.write_bytes(b"a page that says no")
        with pytest.raises(
            UserError, match=r"its md5 is .*; expected e26dedcc434d2e4c54c9b2d4a06d"
        ):
            how["check"](partial)
        return ["altered"]

    monkeypatch.setattr(svhn, "download", other)
    with pytest.raises(UserError, match=r"no download \(altered\)"):
        open_svhn(tmp_path, None)
    assert asked == ["http://ufldl.stanford.edu/housenumbers/train_32x32.mat"]


@pytest.mark.skipif(
    GIVEN is None or not (Path(GIVEN) / "svhn/test_32x32.mat").is_file(),
    reason="no svhn/ in GEOCORE_DATA",
)
def test_the_real_one() -> None:
    source = open_svhn(Path("nowhere"), Path(GIVEN or ""))
    assert source.official == {"train": 73257, "test": 26032}
    assert np.bincount(source.labels[:73257]).tolist()[:2] == [4948, 13861]
