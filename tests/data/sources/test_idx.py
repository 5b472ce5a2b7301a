"""IDX files, made here: what is read is what was written, and each fault is one clear line."""

from __future__ import annotations

import dataclasses
import errno
import gzip
import hashlib
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from geocore.data.sources.fashion_mnist import FASHION_MNIST
from geocore.data.sources.home import data_home
from geocore.data.sources.idx import IdxDataset, IdxImages
from geocore.data.sources.idxfile import check_idx
from geocore.data.sources.mnist import MNIST
from geocore.errors import UserError

TINY = IdxDataset("tiny", tuple("abc"), 4, {}, ())
TRAIN, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def idx(values: npt.NDArray[np.uint8]) -> bytes:
    return (
        bytes((0, 0, 8, values.ndim))
        + struct.pack(f">{values.ndim}I", *values.shape)
        + values.tobytes()
    )


@pytest.fixture
def content() -> dict[str, npt.NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    made = {}
    for part, count in (("train", 11), ("t10k", 5)):
        made[f"{part}-images-idx3-ubyte"] = rng.integers(0, 256, (count, 4, 4), np.uint8)
        made[f"{part}-labels-idx1-ubyte"] = rng.integers(0, 3, count, np.uint8)
    return made


@pytest.fixture(params=["gz", "plain"])
def home(
    request: pytest.FixtureRequest, tmp_path: Path, content: dict[str, npt.NDArray[np.uint8]]
) -> Path:
    folder = tmp_path / "home" / "tiny"
    folder.mkdir(parents=True)
    for name, values in content.items():
        if request.param == "gz":
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx(values)))
        else:
            (folder / name).write_bytes(idx(values))
    return folder.parent


def opened(home: Path | None, about: IdxDataset = TINY) -> IdxImages:
    return IdxImages(about, Path("no-downloads-here"), home)


def path_of(home: Path, name: str) -> Path:
    return next((home / "tiny").glob(f"{name}*"))


def change(home: Path, name: str, edit: Callable[[bytes], bytes]) -> Path:
    """Edit the content, whether it is packed or not."""
    path = path_of(home, name)
    packed = path.suffix == ".gz"
    data = edit(gzip.decompress(path.read_bytes()) if packed else path.read_bytes())
    path.write_bytes(gzip.compress(data) if packed else data)
    return path


def refused(home: Path, about: IdxDataset = TINY) -> str:
    with pytest.raises(UserError) as caught:
        opened(home, about)
    assert len(caught.value.lines) == 1
    return str(caught.value)


def test_training_set_then_test_set(home: Path, content: dict[str, npt.NDArray[np.uint8]]) -> None:
    source = opened(home)
    assert (source.name, source.classes, source.shape) == ("tiny", ("a", "b", "c"), (4, 4, 1))
    assert source.official == {"train": 11, "test": 5}
    every = np.concatenate([content[TRAIN], content["t10k-images-idx3-ubyte"]])[..., np.newaxis]
    for size in (1, 3, 7, 16, 100):
        batches = list(source.batches(size))
        assert [len(batch.images) for batch in batches[:-1]] == [size] * (len(batches) - 1)
        assert np.array_equal(np.concatenate([batch.images for batch in batches]), every)
        assert np.array_equal(np.concatenate([batch.labels for batch in batches]), source.labels)
    rows = np.array([0, 1, 2, 5, 9, 10, 11, 15])
    assert np.array_equal(np.concatenate(list(source.images(rows, 3))), every[rows])
    expected = np.concatenate([content[LABELS], content["t10k-labels-idx1-ubyte"]])
    assert np.array_equal(source.labels, expected)
    assert source.labels.dtype == np.int64


def test_packing_is_not_content(home: Path, content: dict[str, npt.NDArray[np.uint8]]) -> None:
    first = opened(home)
    md5 = {name: hashlib.md5(idx(values)).hexdigest() for name, values in content.items()}
    path = change(home, TRAIN, lambda data: data)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(idx(content[TRAIN]), compresslevel=1, mtime=5))
    assert opened(home, dataclasses.replace(TINY, md5=md5)).digest == first.digest
    change(home, TRAIN, lambda data: data[:-1] + bytes([data[-1] ^ 1]))
    assert opened(home).digest != first.digest


def test_a_truncated_file(home: Path) -> None:
    path = change(home, TRAIN, lambda data: data[:-7])
    assert refused(home) == f"{path}: truncated, 185 bytes decompressed; expected 192"


def test_a_file_that_is_too_long(home: Path) -> None:
    path = change(home, LABELS, lambda data: data + b"\0")
    assert refused(home) == f"{path}: 20 bytes decompressed; expected 19"


def test_a_header_cut_short(home: Path) -> None:
    path = change(home, TRAIN, lambda data: data[:10])
    assert refused(home) == f"{path}: truncated, 10 bytes; expected at least 16"
    path = change(home, TRAIN, lambda data: b"")
    assert refused(home) == f"{path}: IDX magic is none, it is empty; expected 00000803"


def test_a_wrong_magic(home: Path) -> None:
    path = change(home, TRAIN, lambda data: b"\x89PNG" + data[4:])
    assert refused(home) == f"{path}: IDX magic is 89504e47; expected 00000803"
    path = change(home, TRAIN, lambda data: bytes((0, 0, 8, 1)) + data[4:])
    assert refused(home) == f"{path}: IDX magic is 00000801; expected 00000803"


def test_a_wrong_checksum(home: Path, content: dict[str, npt.NDArray[np.uint8]]) -> None:
    path = change(home, TRAIN, lambda data: data[:50] + bytes([data[50] ^ 1]) + data[51:])
    md5 = hashlib.md5(idx(content[TRAIN])).hexdigest()
    about = dataclasses.replace(TINY, md5={TRAIN: md5})
    data = idx(content[TRAIN])
    found = hashlib.md5(data[:50] + bytes([data[50] ^ 1]) + data[51:]).hexdigest()
    assert refused(home, about) == (
        f"{path}: md5 of the decompressed bytes is {found}; expected {md5}"
    )


def test_images_and_labels_that_do_not_belong_together(
    home: Path, content: dict[str, npt.NDArray[np.uint8]]
) -> None:
    path = change(home, LABELS, lambda data: idx(content[LABELS][:-1]))
    image = path_of(home, TRAIN).name
    assert refused(home) == (f"{path}: holds 10 labels; expected 11, one for each image of {image}")


def test_labels_out_of_range(home: Path, content: dict[str, npt.NDArray[np.uint8]]) -> None:
    wrong = content[LABELS].copy()
    wrong[[6, 8]] = 3, 9
    path = change(home, LABELS, lambda data: idx(wrong))
    assert refused(home) == f"{path}: label 6 is 3; expected 0 to 2"


def test_images_of_another_size(home: Path) -> None:
    path = change(home, TRAIN, lambda data: idx(np.zeros((11, 2, 8), np.uint8)))
    assert refused(home) == f"{path}: images are 2 x 8; expected 4 x 4"


def test_damaged_gzip(tmp_path: Path) -> None:
    path = tmp_path / "values.gz"
    values = np.random.default_rng(0).integers(0, 256, 5000, np.uint8)
    whole = gzip.compress(idx(values))
    path.write_bytes(whole[:-20])
    with pytest.raises(UserError) as caught:
        check_idx(path, 1, None)
    line = "truncated, the gzip stream ends within its data; expected a whole file"
    assert str(caught.value) == f"{path}: {line}"
    path.write_bytes(whole[:-6] + bytes([whole[-6] ^ 1]) + whole[-5:])  # its own checksum
    with pytest.raises(UserError, match=r"damaged gzip after \d+ bytes \(CRC check failed"):
        check_idx(path, 1, None)
    path.write_bytes(whole[:200] + b"\xff" * 40 + whole[240:])
    with pytest.raises(UserError, match=r"^\S+values.gz: .*; expected a whole file$"):
        check_idx(path, 1, None)


def test_headers_that_promise_too_much(tmp_path: Path) -> None:
    path = tmp_path / "values"
    path.write_bytes(bytes((0, 0, 8, 3)) + struct.pack(">3I", 2**32 - 1, 2**32 - 1, 2**32 - 1))
    with pytest.raises(UserError, match=f"16 bytes decompressed; expected {(2**32 - 1) ** 3 + 16}"):
        check_idx(path, 3, None)


def test_a_missing_data_set_says_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    refusal = f"[Errno {errno.ECONNREFUSED}] {os.strerror(errno.ECONNREFUSED)}"
    about = dataclasses.replace(TINY, mirrors=("http://127.0.0.1:9/",))  # nobody listens there
    downloads = tmp_path / "downloads"
    with pytest.raises(UserError) as caught:
        IdxImages(about, downloads, tmp_path / "home")
    assert caught.value.lines == (
        f"tiny: no {TRAIN} or {TRAIN}.gz in {tmp_path}/home/tiny nor {downloads}/tiny, and no "
        f"download (http://127.0.0.1:9/{TRAIN}.gz: {refusal}); expected the "
        "file there: set GEOCORE_DATA to the folder that holds tiny/, or put it into "
        f"{downloads}/tiny",
    )
    with pytest.raises(UserError, match=rf"in {downloads}/tiny, GEOCORE_DATA is not set, and no "):
        IdxImages(about, downloads, None)


def test_downloads_are_the_second_place(home: Path, tmp_path: Path) -> None:
    first = opened(home)
    (home / "tiny").rename(tmp_path / "tiny")
    assert IdxImages(TINY, tmp_path, home).digest == first.digest
    assert IdxImages(TINY, tmp_path, None).digest == first.digest


def test_the_known_sets_name_four_checksums_each() -> None:
    for about in (MNIST, FASHION_MNIST):
        assert len(about.md5) == 4
        assert len(set(about.md5.values())) == 4
        assert all(len(md5) == 32 for md5 in about.md5.values())
        assert len(about.classes) == 10
        assert all(mirror.endswith("/") for mirror in about.mirrors)
    assert not set(MNIST.md5.values()) & set(FASHION_MNIST.md5.values())


@pytest.mark.parametrize("about", [MNIST, FASHION_MNIST], ids=lambda about: about.name)
def test_the_real_files(about: IdxDataset, tmp_path: Path) -> None:
    home = data_home()
    if home is None or not (home / about.name).is_dir():
        given = os.environ.get("GEOCORE_DATA", "not set")
        pytest.skip(f"GEOCORE_DATA is {given}: no {about.name} there")
    source = IdxImages(about, tmp_path, home)
    assert source.official == {"train": 60000, "test": 10000}
    rows = np.array([0, 59999, 60000, 69999])
    images = np.concatenate(list(source.images(rows, 2)))
    assert images.shape == (4, 28, 28, 1)
    if about is MNIST:
        assert source.labels[rows].tolist() == [5, 8, 7, 6]
        counts = [6903, 7877, 6990, 7141, 6824, 6313, 6876, 7293, 6825, 6958]  # LeCun's page
        assert np.bincount(source.labels).tolist() == counts
    else:
        assert np.bincount(source.labels).tolist() == [7000] * 10
