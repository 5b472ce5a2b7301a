"""Parquet in the hub's layout: rows are streamed, class names found, faults named by row."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from geocore.data.sources.home import data_home
from geocore.data.sources.parquet_images import ParquetImages
from geocore.errors import UserError


def png(seed: int, shape: tuple[int, ...] = (4, 6, 3)) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(pixels(seed, shape)).save(sink, "PNG")
    return sink.getvalue()


def pixels(seed: int, shape: tuple[int, ...] = (4, 6, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def write(
    path: Path,
    seeds: list[int],
    labels: Any,
    *,
    column: str = "img",
    names: list[str] | None = None,
    images: list[Any] | None = None,
    group: int = 3,
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded = [png(seed) for seed in seeds] if images is None else images
    structs = [None if data is None else {"bytes": data, "path": None} for data in encoded]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({column: pa.array(structs, kind), "label": labels})
    if names is not None:
        about = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(about)})
    # Small pages: otherwise up to 1024 values share one, which is decoded as a whole.
    pq.write_table(table, path, row_group_size=group, write_batch_size=4)
    return path


def every(source: ParquetImages, size: int = 4) -> np.ndarray:
    return np.concatenate(list(source.images(np.arange(len(source)), size)))


def refused(path: Path, side: int | None = None) -> str:
    with pytest.raises(UserError) as caught:
        every(ParquetImages(path, side))
    assert len(caught.value.lines) == 1
    return str(caught.value)


def test_files_are_splits_and_rows_keep_their_order(tmp_path: Path) -> None:
    names = ["ant", "bee", "cat"]
    write(tmp_path / "test-00000-of-00001.parquet", [20, 21], [2, 2], names=names)
    write(tmp_path / "validation.parquet", [10], [1], names=names)
    write(tmp_path / "train-00001-of-00002.parquet", [7, 8, 9], [2, 1, 0], names=names)
    write(tmp_path / "train-00000-of-00002.parquet", list(range(7)), [0, 1] * 3 + [1], names=names)
    source = ParquetImages(tmp_path)
    assert source.classes == ("ant", "bee", "cat")
    assert source.official == {"train": 10, "val": 1, "test": 2}
    assert source.labels.tolist() == [0, 1, 0, 1, 0, 1, 1, 2, 1, 0, 1, 2, 2]
    assert source.shape == (4, 6, 3)
    expected = np.stack([pixels(seed) for seed in [*range(11), 20, 21]])
    for size in (1, 4, 100):
        assert np.array_equal(every(source, size), expected)
    rows = np.array([0, 4, 5, 9, 12])
    assert np.array_equal(np.concatenate(list(source.images(rows, 2))), expected[rows])


def test_without_names_each_label_that_occurs_is_a_class(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", [0, 1, 2, 3], [10, 2, 10, 7], column="image")
    source = ParquetImages(tmp_path)
    assert source.classes == ("2", "7", "10")
    assert source.labels.tolist() == [2, 0, 2, 1]
    assert source.splits is None
    assert ParquetImages(tmp_path / "a.parquet").digest == source.digest


def test_images_are_resized(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", [], [0, 0], images=[png(0), png(1, (9, 9, 3))])
    assert every(ParquetImages(tmp_path, 5)).shape == (2, 5, 5, 3)
    assert refused(tmp_path) == (
        f"{tmp_path}/a.parquet row 1: 9 x 9 pixels; expected 6 x 4 as the first image, "
        "or data.image_size to resize them all"
    )


def test_grey_among_colour_is_converted_and_not_the_other_way(tmp_path: Path) -> None:
    grey, colour = png(1, (4, 6)), png(0)
    write(tmp_path / "a.parquet", [], [0, 0], images=[colour, grey])
    assert np.array_equal(every(ParquetImages(tmp_path))[1, ..., 2], pixels(1, (4, 6)))
    write(tmp_path / "a.parquet", [], [0, 0], images=[grey, colour])
    assert refused(tmp_path) == (
        f"{tmp_path}/a.parquet row 1: a colour image; expected a grey one as the first is"
    )


@pytest.mark.parametrize("part", [0.5, 0.9, 0.999])
def test_a_truncated_file(tmp_path: Path, part: float) -> None:
    path = write(tmp_path / "train.parquet", list(range(9)), [0] * 9)
    whole = path.read_bytes()
    cut = whole[: int(len(whole) * part)]
    path.write_bytes(cut)
    line = refused(tmp_path)
    assert line.startswith(f"{path}: truncated or damaged, {len(cut)} bytes (")
    assert line.endswith("); expected a whole Parquet file")


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").write_bytes(b"")
    line = refused(tmp_path)
    assert line.startswith(f"{tmp_path}/train.parquet: truncated or damaged, 0 bytes (")


def test_damaged_pages(tmp_path: Path) -> None:
    path = write(tmp_path / "train.parquet", list(range(9)), [0] * 9)
    whole = bytearray(path.read_bytes())
    whole[10:60] = bytes(50)
    path.write_bytes(whole)
    assert refused(tmp_path).startswith(f"{path}: truncated or damaged, {len(whole)} bytes (")


@pytest.mark.parametrize(
    ("labels", "names", "line"),
    [
        ([0, 1, 2, -1], ["a", "b", "c"], "row 3: label is -1; expected 0 to 2"),
        ([0, 3, 1, 2], ["a", "b", "c"], "row 1: label is 3; expected 0 to 2"),
        ([0, 3, 1, -2], None, "row 3: label is -2; expected a class number from 0"),
        ([0, None, 1, 2], None, "row 1: label is null; expected a class number"),
        ([0, None, 1, 2], ["a", "b", "c"], "row 1: label is null; expected a class number"),
    ],
)
def test_labels_out_of_range(
    tmp_path: Path, labels: list[int | None], names: list[str] | None, line: str
) -> None:
    path = write(tmp_path / "train.parquet", [0, 1, 2, 3], labels, names=names)
    assert refused(tmp_path) == f"{path} {line}"


def test_one_broken_image(tmp_path: Path) -> None:
    images = [png(0), png(1), b"this is no image", png(3)]
    path = write(tmp_path / "train.parquet", [], [0] * 4, images=images)
    line = "broken image (its bytes are no image); expected one that can be read"
    assert refused(tmp_path) == f"{path} row 2: {line}"
    write(path, [], [0] * 4, images=[png(0), png(1), png(2), None])
    assert refused(tmp_path) == f"{path} row 3: img has no bytes; expected some"


def test_other_columns(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"

    def line(**columns: Any) -> str:
        pq.write_table(pa.table(columns), path)
        return refused(tmp_path).removeprefix(f"{path}: ")

    image = [{"bytes": png(0)}]
    assert line(pixels=[1], label=[1]) == (
        "columns are pixels, label; expected img or image, and label"
    )
    assert line(img=["a.png"], label=[1]) == "column img is string; expected a struct with bytes"
    assert line(img=image) == "columns are img; expected label"
    assert line(img=image, label=["cat"]) == "column label is string; expected integers"


def test_files_of_a_folder(tmp_path: Path) -> None:
    expected = "no *.parquet there; expected train*.parquet, test*.parquet"
    assert refused(tmp_path) == f"{tmp_path}: {expected}"
    write(tmp_path / "train.parquet", [], np.array([], np.int64))
    assert refused(tmp_path) == f"{tmp_path}: no rows; expected labelled images"
    write(tmp_path / "train.parquet", [0], [0], names=["a"])
    write(tmp_path / "other.parquet", [0], [0], names=["a"])
    assert refused(tmp_path) == (
        f"{tmp_path}/other.parquet: belongs to no split; expected a name that begins with "
        "train, validation, val, test, as other files here have"
    )
    (tmp_path / "other.parquet").unlink()
    write(tmp_path / "test.parquet", [0], [0], names=["b"])
    assert refused(tmp_path) == f"{tmp_path}: its files name different classes; expected the same"


def test_rows_are_streamed(tmp_path: Path) -> None:
    """A row group of 64 images of a MiB each goes through far less memory."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 2**20), np.uint8)
    one = io.BytesIO()
    Image.fromarray(noise[0].reshape(1024, 1024)).save(one, "BMP")
    head = one.getvalue()[: -(2**20)]
    images = [head + row.tobytes() for row in noise]
    write(tmp_path / "train.parquet", [], [0] * 64, images=images, group=64)
    del images
    source = ParquetImages(tmp_path, 2)
    before, peak = pa.total_allocated_bytes(), 0
    for _ in source.images(np.arange(64), 1):
        peak = max(peak, pa.total_allocated_bytes() - before)
    assert peak < 40 * 2**20, f"{peak / 2**20:.0f} MiB"


def test_the_real_cifar10() -> None:
    home = data_home()
    if home is None or not (home / "cifar10").is_dir():
        given = os.environ.get("GEOCORE_DATA", "not set")
        pytest.skip(f"GEOCORE_DATA is {given}: no cifar10 there")
    source = ParquetImages(home / "cifar10")
    assert source.official == {"train": 50000, "test": 10000}
    assert source.shape == (32, 32, 3)
    assert np.bincount(source.labels).tolist() == [6000] * 10
    images = np.concatenate(list(source.images(np.array([0, 49999, 50000, 59999]), 3)))
    assert images.shape == (4, 32, 32, 3)
    assert images.std(axis=(1, 2, 3)).min() > 10
