"""Batches hold the samples that were asked for, scaled to [0, 1]."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from geocore.data.table import IGNORED, Table, TableWriter
from geocore.data.tabletype import TableInfo, TableType
from geocore.errors import UserError
from geocore.train import feed as feeding
from geocore.train.feed import table_feed, tensor_feed
from tests.train.pixels import MAPS, PLANES, columns, write_dense
from tests.train.scenes import CPU


def write(folder: Path, dtype: str, split: list[int]) -> tuple[Table, np.ndarray]:
    rows = len(split)
    kind = TableType("healpix", None, None, 2, "nested", (0, 1), 1, dtype, "class")  # type: ignore[arg-type]
    images = np.random.default_rng(0).integers(0, 256, (rows, *kind.shape))
    stored = images.astype(np.uint8) if dtype == "uint8" else (images / 255).astype(np.float32)
    writer = TableWriter(TableInfo(kind, "test", tuple("abc")))
    folder.mkdir()
    for number, part in enumerate((slice(0, 3), slice(3, rows))):
        columns = {
            "sample": np.arange(100, 100 + rows)[part],
            "image": stored[part],
            "label": (np.arange(rows) % 3)[part],
            "split": np.array(split, np.uint8)[part],
        }
        writer.write_part(folder / f"part-{number:05d}.arrow", columns)
    writer.seal(folder)
    return Table.open(folder), images


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("held", [True, False])
def test_a_tables_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, held: bool
) -> None:
    if not held:
        monkeypatch.setattr(feeding, "_HELD_BYTES", {"cpu": 0})
    table, images = write(tmp_path / "table", dtype, [0, 1, 0, 2, 0, 1, 0])
    feed = table_feed(table, "train", CPU)
    assert len(feed) == 4
    assert feed.ids.tolist() == [100, 102, 104, 106]
    batch, labels = feed(torch.tensor([3, 1]))
    assert batch.dtype == torch.float32
    expected = torch.from_numpy(images[[6, 2]] / 255).float()
    torch.testing.assert_close(batch, expected, atol=1e-7, rtol=0)
    assert labels.tolist() == [0, 2]


def test_an_empty_split_is_named(tmp_path: Path) -> None:
    table, _ = write(tmp_path / "table", "uint8", [0, 0, 0, 2])
    with pytest.raises(UserError, match="the val split is empty; expected at least one sample"):
        table_feed(table, "val", CPU)


def test_labels_out_of_range_are_named(tmp_path: Path) -> None:
    table, _ = write(tmp_path / "table", "uint8", [0, 0, 0, 0])
    feed = table_feed(table, "train", CPU)
    feed.require_classes(3, "data/healpix")
    with pytest.raises(UserError) as error:
        feed.require_classes(2, "data/healpix")
    assert str(error.value) == "data/healpix: sample 102 has label 2; expected 0 to 1"


def test_labels_and_images_must_match() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        tensor_feed(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))


@pytest.mark.parametrize("kind", [MAPS, PLANES])
@pytest.mark.parametrize("task", ["segmentation", "depth"])
@pytest.mark.parametrize("held", [True, False])
def test_pixels_of_a_tables_split(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: TableType,
    task: Literal["segmentation", "depth"],
    held: bool,
) -> None:
    if not held:
        monkeypatch.setattr(feeding, "_HELD_BYTES", {"cpu": 0})
    values = columns(kind)
    feed = table_feed(write_dense(tmp_path / "table", kind, values), "val", CPU, task)
    rows, shape = np.array([11, 2, 5]), (3, *kind.shape[:-1])
    images, target = feed(torch.tensor([3, 0, 1]))
    valid = values["valid"][rows].reshape(shape)
    scale = 255 if kind.dtype == "uint8" else 1
    expected = np.where(valid[..., None], values["image"][rows] / scale, 0)
    torch.testing.assert_close(images, torch.from_numpy(expected).float(), atol=1e-7, rtol=0)
    if task == "segmentation":
        own = np.where(valid, values["label"][rows].reshape(shape), IGNORED)
    else:
        own = np.where(valid, values["depth"][rows].reshape(shape), np.float32(0))
    assert target.dtype == (torch.uint8 if task == "segmentation" else torch.float32)
    assert np.array_equal(target.numpy(), own)
    assert feed.ids.tolist() == [102, 105, 108, 111] and feed.name == "val split"
    assert torch.equal(feed.labels[[3, 0, 1]], target)
    monkeypatch.setattr(feeding, "_CHUNK", 2 * kind.pixels)
    assert [piece.tolist() for piece in feed.chunks()] == [[0, 1], [2, 3]]


def test_a_table_without_validity_is_valid_everywhere(tmp_path: Path) -> None:
    values = columns(MAPS)
    del values["valid"]
    feed = table_feed(write_dense(tmp_path / "table", MAPS, values), "train", CPU, "depth")
    images, target = feed(torch.arange(2))
    assert np.array_equal(target.numpy(), values["depth"][:2])
    assert np.array_equal((255 * images).round().numpy(), values["image"][:2])


def test_a_table_of_classes_has_no_masks(tmp_path: Path) -> None:
    table, _ = write(tmp_path / "table", "uint8", [0, 0, 0, 0])
    with pytest.raises(UserError, match="label_kind is class; expected mask for segmentation"):
        table_feed(table, "train", CPU, "segmentation")
