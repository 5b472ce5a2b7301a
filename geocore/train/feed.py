"""Batches of a split: float images in [0, 1] and class labels, on the device."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from geocore.data.table import Table
from geocore.data.tabletype import TableType
from geocore.errors import UserError

__all__ = ["Feed", "normaliser", "table_feed", "tensor_feed"]

# Images up to this size are held as a whole. A mapped file is nearly as good as memory, but a GPU
# would wait for every batch that crosses the bus.
_HELD_BYTES = {"cpu": 2**28, "cuda": 2**32}


class Feed:
    """Samples by position: ``feed(positions)`` is images ``(n, ...)`` float32 and labels ``(n,)``.

    ``take`` gathers images of the given positions in whatever number type they are stored;
    ``ids`` are the names that errors use; images are divided by ``normaliser``.
    """

    def __init__(
        self,
        take: Callable[[Tensor], Tensor],
        labels: Tensor,
        ids: Tensor,
        device: torch.device,
        normaliser: float = 1.0,
    ) -> None:
        if labels.ndim != 1 or len(labels) == 0 or ids.shape != labels.shape:
            raise ValueError(
                f"labels are {tuple(labels.shape)} and ids {tuple(ids.shape)}; "
                "expected one of each a sample, and at least one sample"
            )
        self._take, self._normaliser = take, normaliser
        self.labels, self.ids, self.device = labels.to(device), ids, device

    def __len__(self) -> int:
        return len(self.labels)

    def __call__(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        images = self._take(positions).to(self.device)
        if images.dtype != torch.float32:
            images = images.float()
        if self._normaliser != 1:
            images = images / self._normaliser
        return images, self.labels[positions.to(self.device)]

    def require_classes(self, classes: int, where: str) -> None:
        """``UserError`` naming the first sample whose label is not from 0 to ``classes - 1``."""
        wrong = ((self.labels < 0) | (self.labels >= classes)).nonzero()
        if len(wrong):
            place = int(wrong[0])
            raise UserError(
                f"{where}: sample {int(self.ids[place])} has label {int(self.labels[place])}; "
                f"expected 0 to {classes - 1}"
            )


def tensor_feed(
    images: Tensor, labels: Tensor, device: torch.device | None = None, normaliser: float = 1.0
) -> Feed:
    """A feed over images in memory; a sample's id is its place."""
    device = torch.device("cpu") if device is None else device
    held = images.to(device)
    ids = torch.arange(len(labels))
    return Feed(lambda at: held[at.to(device)], labels, ids, device, normaliser)


def table_feed(table: Table, split: str, device: torch.device) -> Feed:
    """A feed over a split of a table: held as a whole when small, else gathered batch by batch.

    Raises ``UserError`` if the split is empty.
    """
    rows = table.rows_of(split)
    if len(rows) == 0:
        raise UserError(f"{table.folder}: the {split} split is empty; expected at least one sample")
    labels, ids = table.labels(rows), torch.from_numpy(table.column("sample")[rows])
    item = 1 if table.info.type.dtype == "uint8" else 4
    take: Callable[[Tensor], Tensor]
    if len(rows) * int(np.prod(table.info.type.shape)) * item <= _HELD_BYTES[device.type]:
        held = table.images(rows).to(device)

        def take(positions: Tensor) -> Tensor:
            return held.index_select(0, positions.to(device))
    else:

        def take(positions: Tensor) -> Tensor:
            return table.images(rows[positions.numpy()])

    return Feed(take, labels, ids, device, normaliser(table.info.type))


def normaliser(kind: TableType) -> float:
    """What a table's images are divided by to lie in [0, 1]."""
    return 255.0 if kind.dtype == "uint8" else 1.0
