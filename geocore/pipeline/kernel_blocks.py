"""Whole kernels of a table's samples: a part of the store for each pair of batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import save_file
from safetensors.torch import load_file
from torch import Tensor

from geocore.errors import UserError
from geocore.kernels.assembly import Pair, all_pairs, assemble, in_batches, lower_pairs
from geocore.kernels.block import BlockKernel
from geocore.kernels.network import Architecture
from geocore.pipeline.piece import make_part
from geocore.pipeline.progress import Bar
from geocore.pipeline.stage import Job
from geocore.runs.digest import digest_bytes
from geocore.train.feed import Feed

__all__ = ["Batches", "BlockedKernel", "Kernels"]

_FILE = "kernels.safetensors"


@dataclass(frozen=True)
class Batches:
    """Samples ``chosen`` of a feed, ``size`` at a time, as inputs of a network: gathered anew each
    time, so that only two batches are held.
    """

    feed: Feed
    chosen: Tensor
    size: int
    architecture: Architecture

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, batch: int) -> npt.NDArray[np.float64]:
        images, _ = self.feed(self.chosen[self._places[batch]])
        return self.architecture.as_input(images.numpy())

    @property
    def samples(self) -> int:
        """How many there are, without those that fill the last batch."""
        return len(self.chosen)

    @cached_property
    def digests(self) -> list[str]:
        """What each batch's numbers are known by."""
        return [digest_bytes(self[batch].tobytes()) for batch in range(len(self))]

    @cached_property
    def _places(self) -> list[Tensor]:
        return [torch.from_numpy(places) for places in in_batches(len(self.chosen), self.size)]


@dataclass(frozen=True)
class Kernels:
    """``nngp`` and ``ntk (rows, columns)``, and the NNGP of each row with itself, ``(rows,)``."""

    nngp: Tensor
    ntk: Tensor
    diagonal: Tensor


class BlockedKernel:
    """The kernels of a network, of batches of one shape: found in the store or computed.

    A block's key stands for the network and the two batches' numbers, and for nothing else: not
    for labels, the ridge, or how many batches there are. ``parts`` collects the blocks' keys.
    """

    def __init__(self, job: Job, kernel: BlockKernel, bar: Bar) -> None:
        self._job, self._kernel, self._bar = job, kernel, bar
        self.parts: list[str] = []

    def symmetric(self, samples: Batches) -> Kernels:
        """Of the samples with each other, from half the blocks."""
        return self._whole(samples, samples, lower_pairs(len(samples)), None)

    def cross(self, rows: Batches, columns: Batches) -> Kernels:
        """Of one set of samples with another."""
        pairs = all_pairs(len(rows), len(columns))
        return self._whole(rows, columns, pairs, columns.samples)

    def _whole(
        self, rows: Batches, columns: Batches, pairs: Sequence[Pair], width: int | None
    ) -> Kernels:
        blocks = {(i, j): self._block(rows, i, columns, j) for i, j in pairs}

        def joined(name: str) -> Tensor:
            part = {pair: block[name] for pair, block in blocks.items()}
            return assemble(part, rows.samples, width)

        diagonal = torch.cat([blocks[i, 0]["left"] for i in range(len(rows))])
        return Kernels(joined("nngp"), joined("ntk"), diagonal[: rows.samples])

    def _block(self, rows: Batches, i: int, columns: Batches, j: int) -> Mapping[str, Tensor]:
        def fill(folder: Path) -> None:
            found = self._kernel(rows[i], columns[j])
            _require_finite(found, self._kernel.architecture, self._job.params_file)
            save_file(found, folder / _FILE)

        part = make_part(
            self._job,
            "kernel-block",
            fill,
            parameters={**asdict(self._kernel.architecture), "shape": list(self._kernel.shape)},
            inputs={"left": rows.digests[i], "right": columns.digests[j]},
            code=[__name__],
            dtype="float64",
        )
        self.parts.append(part.key)
        self._bar.advance()
        return load_file(part.file(_FILE))


def _require_finite(
    found: Mapping[str, npt.NDArray[np.float64]], architecture: Architecture, where: str
) -> None:
    for values in found.values():
        wrong = values[~np.isfinite(values)]
        if len(wrong):
            raise UserError(
                f"{where}: ntk.depth is {architecture.depth} and ntk.weight_std "
                f"{architecture.weight_std:g}: the kernel has an entry {wrong[0]}; "
                "expected a network whose kernel float64 holds"
            )
