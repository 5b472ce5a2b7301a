"""Batches of a split: float images in [0, 1] and their targets, on the device.

A target is one tensor. Of classes ``(n,)`` it holds the labels. Of pixels, ``(n, npix)`` or ``(n,
height, width)``, it holds a mask or depths, and says itself what does not count: where a pixel is
not valid the label is ``IGNORED`` and the depth 0, whatever the table holds there, as where the
table itself has no label or no depth.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geocore.data.table import IGNORED, Table
from geocore.data.tabletype import TableType
from geocore.errors import UserError

__all__ = ["Feed", "normaliser", "table_feed", "tensor_feed"]

# Images up to this size are held as a whole. A mapped file is nearly as good as memory, but a GPU
# would wait for every batch that crosses the bus.
_HELD_BYTES = {"cpu": 2**28, "cuda": 2**32}
_CHUNK = 2**22  # numbers of the targets that are looked at together

Take = Callable[[Tensor], Tensor]


class Feed:
    """Samples by position: ``feed(positions)`` is images ``(n, ...)`` float32 and their targets.

    ``take`` gathers images of the given positions in whatever number type they are stored, and
    images are divided by ``normaliser`` on the device; ``labels`` are all targets, or gather those
    of the given positions; ``ids`` are the names that errors use, ``name`` what they call the feed.
    """

    def __init__(
        self,
        take: Take,
        labels: Tensor | Take,
        ids: Tensor,
        device: torch.device,
        normaliser: float = 1.0,
        name: str = "feed",
    ) -> None:
        self._take, self._normaliser = take, normaliser
        self._labels: Tensor | None = None
        if isinstance(labels, Tensor):
            self._labels = held = labels.to(device)
            self._targets: Take = lambda at: held[at.to(device)]
            if labels.ndim == 0 or len(labels) == 0 or ids.shape != labels.shape[:1]:
                raise ValueError(
                    f"labels are {tuple(labels.shape)} and ids {tuple(ids.shape)}; "
                    "expected one of each a sample, and at least one sample"
                )
        else:
            self._targets = labels
        self.ids, self.device, self.name = ids, device, name

    @property
    def labels(self) -> Tensor:
        """The targets of all samples."""
        if self._labels is None:
            return self.targets(torch.arange(len(self)))
        return self._labels

    def __len__(self) -> int:
        return len(self.ids)

    def __call__(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        images = self._take(positions).to(self.device)
        if images.dtype != torch.float32:
            images = images.float()
        if self._normaliser != 1:
            images = images / self._normaliser
        return images, self.targets(positions)

    def targets(self, positions: Tensor) -> Tensor:
        """The targets alone, in the number type they are stored in."""
        return self._targets(positions).to(self.device)

    def chunks(self) -> tuple[Tensor, ...]:
        """All positions in order, cut so that the targets of a piece take little memory."""
        size = self.targets(torch.zeros(1, dtype=torch.int64)).numel()
        pieces: tuple[Tensor, ...] = torch.arange(len(self)).split(max(1, _CHUNK // size))
        return pieces

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


def table_feed(
    table: Table,
    split: str,
    device: torch.device,
    task: Literal["classification", "segmentation", "depth"] = "classification",
) -> Feed:
    """A feed over a split of a table: held as a whole when small, else gathered batch by batch.

    ``task`` says which target: the class, the mask, or the depths. With one a pixel, images too
    are 0 where a pixel is not valid. Raises ``UserError`` if the split is empty, and where the
    table has no such target.
    """
    rows = table.rows_of(split)
    if len(rows) == 0:
        raise UserError(f"{table.folder}: the {split} split is empty; expected at least one sample")
    ids = torch.from_numpy(table.column("sample")[rows])
    images, targets, item = _columns(table, task)
    size = (1 if table.info.type.dtype == "uint8" else 4) * int(np.prod(table.info.type.shape))
    name = f"{split} split"
    if len(rows) * (size + item) <= _HELD_BYTES[device.type]:
        held, labels = images(rows).to(device), targets(rows)
        return Feed(
            lambda at: held.index_select(0, at.to(device)),
            labels,
            ids,
            device,
            normaliser(table.info.type),
            name,
        )
    return Feed(
        lambda at: images(rows[at.numpy()]),
        targets(rows) if task == "classification" else lambda at: targets(rows[at.numpy()]),
        ids,
        device,
        normaliser(table.info.type),
        name,
    )


def normaliser(kind: TableType) -> float:
    """What a table's images are divided by to lie in [0, 1]."""
    return 255.0 if kind.dtype == "uint8" else 1.0


_Gather = Callable[[npt.NDArray[np.int64]], Tensor]


def _columns(table: Table, task: str) -> tuple[_Gather, _Gather, int]:
    """What gathers images and targets of rows of the table, and the bytes of a sample's target."""
    kind = table.info.type
    if task == "classification":
        return table.images, table.labels, 0
    if task == "segmentation" and kind.label_kind != "mask":
        raise UserError(
            f"{table.folder}: label_kind is {kind.label_kind}; expected mask for segmentation"
        )
    if task == "depth" and "depth" not in table.columns:
        raise UserError(f"{table.folder}: no column 'depth'; found {', '.join(table.columns)}")
    shape = kind.shape[:-1]
    partial = "valid" in table.columns

    def mask(values: Tensor, rows: npt.NDArray[np.int64], value: int) -> Tensor:
        """In place: what is gathered by row numbers lies in new memory."""
        if not partial:
            return values
        blind = ~table.valid(rows).reshape(-1, *shape)
        return values.masked_fill_(blind if values.ndim == blind.ndim else blind[..., None], value)

    def images(rows: npt.NDArray[np.int64]) -> Tensor:
        return mask(table.images(rows), rows, 0)

    def masks(rows: npt.NDArray[np.int64]) -> Tensor:
        return mask(table.labels(rows).reshape(-1, *shape), rows, IGNORED)

    def depths(rows: npt.NDArray[np.int64]) -> Tensor:
        return mask(table.depths(rows).reshape(-1, *shape), rows, 0)

    if task == "segmentation":
        return images, masks, kind.pixels
    return images, depths, 4 * kind.pixels
