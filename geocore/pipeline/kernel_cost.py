"""What a kernel matrix will cost, before it is begun: seconds, memory, disk."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from geocore.kernels.assembly import Pair, all_pairs, lower_pairs
from geocore.kernels.block import default_block, write_block
from geocore.kernels.composed import Kernels
from geocore.kernels.cost import BlockCost, probe
from geocore.kernels.protocol import PairKernel
from geocore.runs.digest import digest_file
from geocore.runs.store import Store

__all__ = ["KernelTask", "Prediction", "StoreCost", "predicted", "probe_store", "probe_task"]

_TRIED_BYTES = 2**23  # of the piece that is written to see how fast the disk is


@dataclass(frozen=True)
class KernelTask:
    """One matrix that a stage computes: ``rows`` with ``columns``, with themselves without.

    ``block`` is how many samples a batch has, ``None`` for ``default_block``.
    """

    name: str
    kernel: PairKernel
    rows: Tensor
    columns: Tensor | None
    block: int | None
    dtype: torch.dtype = torch.float64

    @property
    def size(self) -> int:
        """Samples of a batch."""
        right = self.rows if self.columns is None else self.columns
        return min(len(right), self.block or default_block(self.kernel, right))

    @property
    def symmetric(self) -> bool:
        """Whether it is of samples with themselves."""
        return self.columns is None

    @cached_property
    def places(self) -> list[Pair]:
        """The pairs of batches of its blocks."""
        rows = -(-len(self.rows) // self.size)
        if self.columns is None:
            return lower_pairs(rows)
        return all_pairs(rows, -(-len(self.columns) // self.size))

    @property
    def blocks(self) -> int:
        """How many blocks it has."""
        return len(self.places)

    def shape(self, pair: Pair) -> tuple[int, int | None]:
        """Rows and columns of a block; no columns: a batch with itself."""
        i, j = pair
        right = self.rows if self.columns is None else self.columns
        rows, columns = (
            min(len(x), (n + 1) * self.size) - n * self.size
            for x, n in ((self.rows, i), (right, j))
        )
        return rows, None if self.symmetric and i == j else columns

    @property
    def entries(self) -> int:
        """Of each of the two matrices."""
        return len(self.rows) * len(self.rows if self.columns is None else self.columns)


@dataclass(frozen=True)
class StoreCost:
    """What a piece costs beyond what is in it: seconds a piece, and seconds a byte."""

    piece: float
    byte: float


@dataclass(frozen=True)
class Prediction:
    """Of a task: seconds on the clock, bytes of tensors held at once, bytes in the store."""

    task: str
    blocks: int
    pairs: int
    seconds: float
    memory: int
    disk: int


def predicted(
    task: KernelTask, cost: BlockCost, store: StoreCost, places: Sequence[Pair] | None = None
) -> Prediction:
    """The cost of computing the blocks at those ``places`` (all), and of assembling the whole.

    Blocks are handed to ``cost.workers`` as they come free; what is written is written by each.
    """
    item = torch.finfo(task.dtype).bits // 8
    free = [0.0] * cost.workers
    disk = memory = 0
    shapes = [task.shape(pair) for pair in (task.places if places is None else places)]
    for rows, columns in shapes:
        size = 2 * item * rows * (rows if columns is None else columns)
        taken = cost.seconds(rows, columns) + store.piece + store.byte * size
        place = min(range(len(free)), key=free.__getitem__)
        free[place] += taken
        disk += size
        memory = max(memory, int(cost.bytes(rows, rows if columns is None else columns)))
    whole = 2 * item * task.entries
    seconds = max(free) + store.piece + 2 * store.byte * whole
    pairs = sum(n * (n + 1) // 2 if m is None else n * m for n, m in shapes)
    return Prediction(
        task.name,
        len(shapes),
        pairs,
        seconds,
        min(cost.workers, len(shapes)) * memory,
        disk + whole,
    )


def probe_task(task: KernelTask, workers: int, seconds: float) -> BlockCost:
    """``probe`` with the samples and the batches of the task."""
    return probe(task.kernel, task.rows.to(task.dtype), task.size, workers=workers, seconds=seconds)


def probe_store(root: Path) -> StoreCost:
    """Write a small piece and a larger one on the store's disk, and read them; nothing is left."""
    above = next(folder for folder in (root, *root.parents) if folder.is_dir())
    with TemporaryDirectory(prefix=".geocore-probe-", dir=above) as folder:
        store = Store(Path(folder))
        small, large = (_piece_seconds(store, size) for size in (2**10, _TRIED_BYTES))
    return StoreCost(small, max(large - small, 0.0) / _TRIED_BYTES)


def _piece_seconds(store: Store, size: int) -> float:
    values = torch.rand(1, size // 16, dtype=torch.float64)
    key = os.urandom(16).hex()
    began = time.perf_counter()
    store.make(key, lambda folder: write_block(folder, Kernels(values, values)), verb="probe")
    piece = store.find(key)
    if piece is not None:
        digest_file(piece.folder / "block.safetensors")
    return time.perf_counter() - began
