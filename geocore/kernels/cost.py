"""What a block of a kernel will cost, from blocks that are small enough to try.

A block of ``n x m`` samples takes ``a + b (n + m) + c n m`` seconds: starting, what is done once a
sample (its variances behind a pooling), and the pairs; a batch with itself has ``n (n + 1) / 2``.
The three are fitted to squares of growing size by least squares of relative errors, none of them
below 0. Memory is fitted alike, without the middle term.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from geocore.kernels.block import kernel_block
from geocore.kernels.protocol import PairKernel

__all__ = ["BlockCost", "fitted", "peak_bytes", "probe"]

_FIRST = 4  # samples of the smallest block that is tried


@dataclass(frozen=True)
class BlockCost:
    """Seconds and bytes of a block, where ``workers`` of them are worked on at once.

    ``tried`` are the sizes that were measured, and ``seconds_tried`` what they took.
    """

    start: float
    sample: float
    pair: float
    bytes_start: float
    bytes_pair: float
    workers: int
    tried: tuple[int, ...]
    seconds_tried: tuple[float, ...]

    def seconds(self, rows: int, columns: int | None = None) -> float:
        """Of a block of ``rows x columns`` samples; of a batch with itself without ``columns``."""
        if columns is None:
            return self.start + self.sample * rows + self.pair * rows * (rows + 1) / 2
        return self.start + self.sample * (rows + columns) + self.pair * rows * columns

    def bytes(self, rows: int, columns: int) -> float:
        """What it holds at most, its result included."""
        return self.bytes_start + self.bytes_pair * rows * columns


def probe(
    kernel: PairKernel, x: Tensor, block: int, *, workers: int = 1, seconds: float = 1.0
) -> BlockCost:
    """Try blocks of 4, 8, 16, ... of the samples ``x (n, ...)``, in about so many ``seconds``.

    None is larger than ``block``. Each is computed by ``workers`` threads at once, as they will be:
    two threads that share a memory are not twice as fast as one. Raises ``ValueError`` for what the
    kernel does not take.
    """
    if block < 1 or workers < 1 or not seconds > 0:
        found = f"{block}, {workers} and {seconds}"
        raise ValueError(f"block, workers and seconds are {found}; expected at least 1, 1, above 0")
    largest = min(block, len(x))
    size, sizes, times, peaks = min(_FIRST, largest), [], [], []  # type: ignore[var-annotated]
    kernel_block(kernel, x[:size], x[-size:])  # what only the first one does
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        while True:
            left, right = x[:size], x[-size:]
            taken = _timed(pool, workers, lambda a=left, b=right: kernel_block(kernel, a, b))  # type: ignore[misc]
            if taken < seconds / 20:  # so short that a second time costs nothing
                again = _timed(pool, workers, lambda a=left, b=right: kernel_block(kernel, a, b))  # type: ignore[misc]
                taken = min(taken, again)
            sizes.append(size)
            times.append(taken)
            if taken < seconds / 4 or len(peaks) < 2:  # recording is slower than computing
                peaks.append(peak_bytes(lambda a=left, b=right: kernel_block(kernel, a, b)))  # type: ignore[misc]
            if size == largest or (4 * taken > seconds / 2 and len(sizes) > 1):
                break
            size = min(2 * size, largest)
    pairs = [[1.0, 2.0 * n, float(n * n)] for n in sizes]
    start, sample, pair = fitted(pairs, times)
    held = [[1.0, float(n * n)] for n in sizes[: len(peaks)]]
    bytes_start, bytes_pair = fitted(held, peaks)
    return BlockCost(
        start, sample, pair, bytes_start, bytes_pair, workers, tuple(sizes), tuple(times)
    )


def fitted(terms: Sequence[Sequence[float]], values: Sequence[float]) -> list[float]:
    """Factors ``f >= 0`` with the least ``sum_i (sum_k f_k terms_ik / values_i - 1)^2``.

    Of so few factors every choice of those that are not 0 is tried.
    """
    scaled = torch.tensor(terms, dtype=torch.float64)
    scaled /= torch.tensor(values, dtype=torch.float64).clamp_min(1e-12)[:, None]
    one = torch.ones(len(values), dtype=torch.float64)
    best, least = [0.0] * scaled.shape[1], float(len(values))
    for count in range(1, scaled.shape[1] + 1):
        for chosen in combinations(range(scaled.shape[1]), count):
            if count > len(values):
                continue
            columns = scaled[:, list(chosen)]
            found = torch.linalg.lstsq(columns, one[:, None], driver="gelsd").solution[:, 0]
            error = float((columns @ found - one).square().sum())
            # A further factor must be worth it: rounding alone is no reason.
            if (found >= 0).all() and error < least * (1 - 1e-9) - 1e-12:
                least = error
                best = [0.0] * scaled.shape[1]
                for place, value in zip(chosen, found.tolist(), strict=True):
                    best[place] = value
    return best


def peak_bytes(work: Callable[[], object]) -> int:
    """Bytes of the tensors that ``work`` makes, at most alive at once between two operations."""
    with torch.no_grad(), _Alive() as alive:
        kept = work()
    del kept  # held until here: a result counts
    most: int = alive.most
    return most


class _Alive(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = 0
        self._held: dict[StorageWeakRef, int] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        for gone in [held for held in self._held if held.expired()]:
            del self._held[gone]
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                storage = leaf.untyped_storage()
                self._held[StorageWeakRef(storage)] = storage.nbytes()
        self.most = max(self.most, sum(self._held.values()))
        return out


def _timed(pool: ThreadPoolExecutor, workers: int, work: Callable[[], object]) -> float:
    """Seconds that each of ``workers`` takes for it, all at once."""

    def timed() -> float:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    return max(job.result() for job in [pool.submit(timed) for _ in range(workers)])
