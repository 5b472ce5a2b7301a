"""Small dense tables, and a network that answers for every pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from geocore.config.train import TrainParams
from geocore.data.table import IGNORED, Table, TableWriter
from geocore.data.tabletype import TableInfo, TableType
from geocore.train.feed import Feed, table_feed
from tests.train.scenes import CPU, train_params

__all__ = [
    "CLASSES", "MAPS", "PLANES", "PerPixel", "columns", "feeds", "pixel_params", "write_dense",
]  # fmt: skip

CLASSES = ("dark", "middle", "bright")
MAPS = TableType("healpix", None, None, 4, "nested", (0, 1, 2, 3), 3, "uint8", "mask")
PLANES = TableType("planar", 6, 8, None, None, None, 3, "float32", "mask")
Columns = dict[str, npt.NDArray[Any]]


def pixel_params(task: str, **changes: Any) -> TrainParams:
    own: dict[str, Any] = {"task": task, "epochs": 3, "batch_size": 4}
    if task == "depth":
        own |= {"loss": "l2", "depth_scale": "linear"}
    return train_params(**(own | changes))


def columns(kind: TableType, rows: int = 12, seed: int = 0) -> Columns:
    """Labels and depths that follow from the image; a third of the pixels is not valid.

    Some valid pixels have no label, and some no depth. Rows are of train, train, val in turn.
    """
    generator = np.random.default_rng(seed)
    level = generator.random((rows, kind.pixels))
    image = np.repeat(level[:, :, None], 3, axis=2) * np.array([1.0, 0.5, 0.25])
    label = np.digitize(level, [0.5, 0.8]).astype(np.uint8)
    depth = (2 + 30 * level).astype(np.float32)
    label[generator.random(label.shape) < 0.1] = IGNORED
    depth[generator.random(depth.shape) < 0.1] = 0
    stored = np.round(255 * image).astype(np.uint8) if kind.dtype == "uint8" else image
    return {
        "sample": np.arange(100, 100 + rows),
        "image": stored.astype(kind.dtype).reshape(rows, *kind.shape),
        "label": label,
        "depth": depth,
        "valid": generator.random(label.shape) < 2 / 3,
        "split": np.array([0, 0, 1] * rows, np.uint8)[:rows],
    }


def write_dense(folder: Path, kind: TableType, values: Columns) -> Table:
    folder.mkdir(parents=True)
    writer = TableWriter(TableInfo(kind, "test", CLASSES))
    half = len(values["sample"]) // 2
    for number, part in enumerate((slice(0, half), slice(half, None))):
        cut = {name: value[part] for name, value in values.items()}
        writer.write_part(folder / f"part-{number:05d}.arrow", cut)
    writer.seal(folder)
    return Table.open(folder)


def feeds(table: Table, task: str) -> tuple[Feed, Feed]:
    training, validation = (
        table_feed(table, split, CPU, task)  # type: ignore[arg-type]
        for split in ("train", "val")
    )
    return training, validation


class PerPixel(nn.Module):
    """Two layers and a mean over all pixels, so that each pixel has a say in every output."""

    def __init__(self, outputs: int, dropout: float = 0.2) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first, self.last = nn.Linear(3, 8), nn.Linear(8, outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x).relu()
        whole = hidden.flatten(1, -2).mean(dim=1)
        hidden = hidden + whole.reshape(len(x), *[1] * (x.ndim - 2), -1)
        out: Tensor = self.last(self.dropout(hidden))
        return out
