"""Whole kernel matrices of any size: a part of the store for each pair of batches, then one file.

A matrix is parted into blocks over pairs of batches, a symmetric one into the lower half of them.
Each block is a piece of the store, so that who is killed goes on with the block after; the whole is
one more piece, a memory-mapped file that is larger than memory if need be.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from geocore.config.runtime import RuntimeParams, usable_cores
from geocore.errors import UserError
from geocore.kernels.assembly import Pair, assemble
from geocore.kernels.block import kernel_block, read_block, write_block
from geocore.kernels.composed import Kernels
from geocore.kernels.protocol import PairKernel, described
from geocore.pipeline.kernel_batches import Batches, deciding_modules, first_not_finite
from geocore.pipeline.kernel_cost import (
    KernelTask,
    StoreCost,
    predicted,
    probe_store,
    probe_task,
)
from geocore.pipeline.kernel_dask import AT_ONCE, DaskBlocks
from geocore.pipeline.on_cluster import cluster_of
from geocore.pipeline.piece import make_part
from geocore.pipeline.progress import Bar
from geocore.pipeline.stage import Job
from geocore.runs.at_once import at_once
from geocore.runs.atomic import reserve
from geocore.runs.cluster import Cluster
from geocore.runs.store import Piece
from geocore.train.device import resolve

__all__ = ["StoredKernels"]

_CODE = "geocore.kernels.block"  # what computes and keeps a block; the kernel's own comes with it
_PROBE = 0.5  # seconds for which blocks are tried before a matrix is computed


class StoredKernels:
    """Kernel matrices inside a stage, found in the store or computed block by block.

    ``block`` is how many samples a batch has, ``None`` for ``default_block``; parameters that
    choose it are to be tracked, for it may move the last bits. ``dtype``, float32 or float64, is
    what inputs are turned into and kernels are computed in. Blocks are worked on
    ``runtime.workers`` at once (0: one a core; one on a GPU), each by one thread, or on a Dask
    cluster (``geocore.runs.cluster``), which stays for as long as this object does. ``bar`` counts
    blocks (``KernelTask.blocks``); without one each matrix has its own.

    A block's key stands for ``described(kernel)``, the code of the kernel (of its class and of all
    that it holds, and of the modules ``code``), ``dtype`` and the bytes of its two batches, and for
    nothing else: matrices share blocks, whatever stage asks for them. ``parts`` collects the keys.
    The ledger notes of each matrix what it took and what was predicted, under ``kernel_cost``.
    """

    def __init__(
        self,
        job: Job,
        *,
        block: int | None = None,
        dtype: torch.dtype = torch.float64,
        bar: Bar | None = None,
        code: Collection[str] = (),
    ) -> None:
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(f"dtype is {dtype}; expected torch.float32 or torch.float64")
        if block is not None and block < 1:
            raise ValueError(f"block is {block}; expected at least 1")
        self.parts: list[str] = []
        self._job, self._block, self._dtype, self._bar = job, block, dtype, bar
        self._code = tuple(code)
        self._cluster: Cluster | None = None

    def symmetric(self, kernel: PairKernel, x: Tensor, *, name: str = "inputs") -> Kernels:
        """``K`` and ``Theta (n, n)`` of ``x (n, ...)`` with itself, memory-mapped.

        What is written to these tensors stays in memory, and the file as it is. ``name`` is what
        messages and the ledger call the inputs. Raises ``UserError`` for inputs that are not finite
        or that the kernel does not take, and for a kernel that is not finite.
        """
        return self._whole(KernelTask(name, kernel, x, None, self._block, self._dtype))

    def cross(
        self, kernel: PairKernel, rows: Tensor, columns: Tensor, *, name: str = "inputs"
    ) -> Kernels:
        """``K`` and ``Theta (n, m)`` of ``rows (n, ...)`` with ``columns (m, ...)``, alike."""
        return self._whole(KernelTask(name, kernel, rows, columns, self._block, self._dtype))

    def diagonal(self, kernel: PairKernel, x: Tensor, *, name: str = "inputs") -> Kernels:
        """``K(x_i, x_i)`` and ``Theta(x_i, x_i)``, both ``(n,)``: one part."""
        samples = self._checked(x, name, len(x))

        def fill(folder: Path) -> None:
            with _one_thread(), self._mistakes():
                write_block(folder, kernel.diagonal(samples[0].to(self._device)))

        part, _ = self._part("kernel-diagonal", kernel, fill, {"x": samples.digest}, {})
        self.parts.append(part.key)
        return read_block(part.folder)

    def _checked(self, x: Tensor, name: str, size: int) -> Batches:
        if not len(x):
            raise UserError(f"{self._where}: {name} are none; expected at least one sample")
        samples = x.detach().cpu()
        if (wrong := first_not_finite(samples)) is not None:
            raise UserError(
                f"{self._where}: {name} are not finite at sample {wrong}; expected finite numbers"
            )
        return Batches(samples, size, self._dtype.to_complex() if x.is_complex() else self._dtype)

    def _whole(self, task: KernelTask) -> Kernels:
        if task.columns is not None and task.rows.shape[1:] != task.columns.shape[1:]:
            found = f"{tuple(task.rows.shape)} and {tuple(task.columns.shape)}"
            raise UserError(
                f"{self._where}: {task.name} are {found}; expected one shape of a sample"
            )
        rows = self._checked(task.rows, task.name, task.size)
        right = rows
        if task.columns is not None:
            right = self._checked(task.columns, task.name, task.size)
        counted: list[Pair] = []

        def fill(folder: Path) -> None:
            with self._counting(task) as bar:

                def count(pair: Pair) -> None:
                    counted.append(pair)
                    bar.advance()

                self._fill(folder, task, rows, right, count)

        whole, _ = self._part(
            "kernel-matrix",
            task.kernel,
            fill,
            {"rows": rows.digest, "columns": right.digest},
            {"block": task.size, "symmetric": task.symmetric},
        )
        self.parts.append(whole.key)
        if self._bar is not None and len(counted) < task.blocks:  # it was found
            self._bar.advance(task.blocks - len(counted))
        # Copy on write: a tensor may be written to, and a file of the store must not be.
        return Kernels(
            *(
                torch.from_numpy(np.load(whole.file(f"{name}.npy"), mmap_mode="c"))
                for name in Kernels._fields
            )
        )

    def _fill(
        self,
        folder: Path,
        task: KernelTask,
        rows: Batches,
        right: Batches,
        count: Callable[[Pair], None],
    ) -> None:
        """Both matrices as files, from blocks that are found or made."""
        workers = self._workers(task.blocks)
        with _one_thread(), self._mistakes():
            cost = probe_task(task, workers, _PROBE)
        began = time.perf_counter()
        blocks: dict[Pair, Piece] = {}
        made: list[Pair] = []
        there = self._there(task)
        for pair, part, new in self._blocks(task, rows, right, workers, there):
            blocks[pair] = part
            made += [pair] if new else []
            count(pair)
        self.parts += [blocks[pair].key for pair in task.places]
        dtype = np.dtype(str(task.dtype).removeprefix("torch."))
        shape = (len(rows.samples), len(right.samples))
        for place, name in enumerate(Kernels._fields):

            def block(i: int, j: int, place: int = place) -> np.ndarray[Any, Any]:
                return read_block(blocks[i, j].folder)[place].numpy()

            file = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, shape)
            reserve(folder / f"{name}.npy")
            assemble(file, block, task.size, symmetric=task.symmetric)
            file.flush()
        seconds = time.perf_counter() - began
        about: dict[str, Any] = {"blocks": task.blocks, "made": len(made), "workers": workers}
        about["seconds"] = seconds
        if self._store_cost is not None:
            about["predicted_seconds"] = predicted(task, cost, self._store_cost, made).seconds
        self._job.note(kernel_cost={f"{task.name} {shape[0]} x {shape[1]}": about})

    def _there(self, task: KernelTask) -> DaskBlocks | None:
        """The cluster, if the job has one: started once, for all matrices."""
        if self._cluster is None and (found := cluster_of(self._job, task.blocks)) is not None:
            self._cluster = found
            weakref.finalize(self, found.close)
        if self._cluster is None:
            return None
        return DaskBlocks(self._cluster, self._modules(task.kernel))

    def _blocks(
        self,
        task: KernelTask,
        rows: Batches,
        right: Batches,
        workers: int,
        cluster: DaskBlocks | None,
    ) -> Iterator[tuple[Pair, Piece, bool]]:
        """The blocks as they are done, and whether each was made; the first that fails ends all."""

        def block(pair: Pair) -> tuple[Pair, Piece, bool]:
            i, j = pair
            own = task.symmetric and i == j

            def fill(folder: Path) -> None:
                x1, x2 = rows[i], None if own else right[j]
                with self._mistakes():
                    if cluster is not None:
                        found = cluster.block(task.kernel, x1, x2)
                    else:
                        there = None if x2 is None else x2.to(self._device)
                        found = kernel_block(task.kernel, x1.to(self._device), there)
                    write_block(folder, found)

            digests = {"left": rows.digests[i], "right": right.digests[j]}
            part, new = self._part("kernel-block", task.kernel, fill, digests, {"symmetric": own})
            return pair, part, new

        with _one_thread():
            if cluster is not None:
                workers = min(task.blocks, AT_ONCE)  # of which the scheduler makes what it can
            if workers == 1:
                yield from map(block, task.places)
                return
            calls = [partial(block, pair) for pair in task.places]
            for _, found in at_once(calls, workers, begin=partial(torch.set_num_threads, 1)):
                yield found

    def _part(
        self,
        verb: str,
        kernel: PairKernel,
        fill: Callable[[Path], None],
        digests: Mapping[str, str],
        parameters: Mapping[str, Any],
    ) -> tuple[Piece, bool]:
        """The part, and whether it was made."""
        made = []

        def filled(folder: Path) -> None:
            fill(folder)
            made.append(True)

        part = make_part(
            self._job,
            verb,
            filled,
            parameters={"kernel": described(kernel), **parameters},
            inputs=digests,
            code=self._modules(kernel),
            dtype=str(self._dtype).removeprefix("torch."),
            device=self._device.type,
        )
        return part, bool(made)

    def _modules(self, kernel: PairKernel) -> list[str]:
        return sorted({_CODE, *deciding_modules(kernel), *self._code})

    def _workers(self, blocks: int) -> int:
        if self._device.type != "cpu":
            return 1
        return max(1, min(self._job.section(RuntimeParams).workers or usable_cores(), blocks))

    @contextmanager
    def _counting(self, task: KernelTask) -> Iterator[Bar]:
        if self._bar is not None:
            yield self._bar
            return
        with self._job.progress.bar(f"{self._job.stage.name}: kernel", task.blocks) as bar:
            yield bar

    @contextmanager
    def _mistakes(self) -> Iterator[None]:
        """What a kernel refuses is a mistake of who asked for it: one line."""
        try:
            yield
        except ValueError as error:
            raise UserError(f"{self._where}: {error}") from error

    @property
    def _where(self) -> str:
        return f"{self._job.params_file}: {self._job.stage.name}"

    @cached_property
    def _store_cost(self) -> StoreCost | None:
        """None where the disk refuses the trial, which takes more room than a small matrix."""
        try:
            return probe_store(self._job.store.root)
        except UserError:
            return None

    @cached_property
    def _device(self) -> torch.device:
        return resolve(self._job.section(RuntimeParams).device)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
